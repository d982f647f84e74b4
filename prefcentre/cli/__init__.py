"""The commands: each reads its arguments, calls one service function and prints the answer.

Exit codes: 0 done, 1 refused with a reason on standard error, 2 a wrong call.
"""

import sys

from prefcentre.cli.tree import tree
from prefcentre.errors import PrefcentreError


def main() -> None:
    """Run the command line."""
    try:
        tree(sys.argv[1] if len(sys.argv) > 1 else None)()
    except PrefcentreError as error:
        print(f"prefcentre: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
