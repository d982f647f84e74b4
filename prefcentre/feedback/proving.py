"""Whether a text that came back is a name that we signed: a return path, an envelope id or a Message-ID (R71, R74).

Part of the feedback service; ``service`` offers this function to other packages.
"""

from collections.abc import Iterable

from prefcentre.errors import InvalidToken
from prefcentre.tokens import Signer


def mail_named(signer: Signer, names: Iterable[str]) -> tuple[int, int] | None:
    """Campaign and delivery of the first of these that is ours; None when none is.

    Takes them with or without angle brackets, a domain, and the letter that they begin with.
    """
    for name in names:
        local = name.strip().strip("<>").partition("@")[0]
        local = local[2:] if local[:2].lower() in {"b-", "u-"} else local
        for read in (signer.read_message_id, signer.read_return_path):
            try:
                return read(local)
            except InvalidToken:
                continue
    return None
