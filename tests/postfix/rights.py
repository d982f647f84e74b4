"""Whether Postfix can be started here."""

import os
import shutil
import subprocess


def may_be_root() -> bool:
    """Whether this user is root or becomes it without a password: Postfix starts for nobody else."""
    if os.geteuid() == 0:
        return True
    asked = ["sudo", "-n", "true"]
    return shutil.which("sudo") is not None and subprocess.run(asked, check=False).returncode == 0
