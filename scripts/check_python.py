"""Stop early, with the remedy, when this Python is too old or cannot make a virtual environment.

Runs on whatever `python3` there is, so it keeps to what very old versions understand.
"""

import sys

try:
    import ensurepip  # noqa: F401
except ImportError:
    sys.exit(
        "This Python cannot make a virtual environment. On Debian: apt-get install python3-venv"
    )

if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit(
        "prefcentre needs Python 3.11 to 3.14, and this is %d.%d. "
        "Name another one, for example: make venv PYTHON=python3.13" % sys.version_info[:2]
    )
