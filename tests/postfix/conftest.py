"""A Postfix of our own: its configuration, queue and log in a scratch folder, on a free port of 127.0.0.1."""

import os
import pwd
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from prefcentre.testing import RecordingSmtpServer
from tests.installation import eventually, free_port
from tests.postfix.rights import may_be_root

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test.example
mydestination =
mynetworks = 127.0.0.0/8
local_recipient_maps =
alias_maps =
alias_database =
default_transport = smtp:[127.0.0.1]:{sink}
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{ gone@example.org = 550 5.1.1 no such user }} }},
    check_recipient_access inline:{{ {{ later@example.org = 451 4.2.1 not now }} }},
    permit_mynetworks, reject
"""
# What docs/feedback.md tells an operator to write, and next hops that refuse as others' servers do.
RETURNS = """\
relay_domains = bounces.example.com
virtual_mailbox_domains = unknown.example
returns_destination_recipient_limit = 1
transport_maps =
    regexp:{folder}/etc/returns
    inline:{{ {{ unknown.example = smtp:[127.0.0.1]:{unknown} }} }}
    inline:{{ {{ small.example = smtp:[127.0.0.1]:{small} }} }}
    inline:{{ {{ foreign.example = smtp:[127.0.0.1]:{unknown} }} }}
    {more}
minimal_backoff_time = 1s
queue_run_delay = 1s
delay_warning_time = {warned}
"""
RETURNS_MAP = "/^[bu]-[0-9a-f]{48}@bounces\\.example\\.com$/   "
HOPS = """\
127.0.0.1:{unknown} inet n - n - - smtpd
  -o myhostname=far.example
  -o mynetworks=
  -o { virtual_mailbox_maps = inline:{ { ada@unknown.example = ada } } }
  -o smtpd_relay_restrictions=reject_unauth_destination
  -o smtpd_recipient_restrictions=reject_unauth_destination
127.0.0.1:{small} inet n - n - - smtpd
  -o myhostname=small.example
  -o message_size_limit=1000
returns unix - n n - 2 pipe
  flags=DX user=nobody directory={folder}/returned argv=/bin/sh {folder}/etc/keep
"""
# The new name says that the mail is whole. The program itself is tried by the test: it may be where nobody may read.
KEEP = "cat >.$$ && mv .$$ mail.$$\n"
SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
lmtp unix - - n - - lmtp
"""


if not may_be_root():
    # The header of the test run says so.
    collect_ignore_glob = ["test_*.py"]


@dataclass(frozen=True)
class Postfix:
    """A running Postfix that hands everything on to ``sink``."""

    port: int
    sink: RecordingSmtpServer
    log: Path
    returned: Path
    """Where mails that come back are put, each in a file of its own."""

    @property
    def url(self) -> str:
        """What to set as PREFCENTRE_SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"


@pytest.fixture
def postfix(smtpd: RecordingSmtpServer) -> Iterator[Postfix]:
    with running_postfix(smtpd) as found:
        yield found


@contextmanager
def running_postfix(smtpd: RecordingSmtpServer, lmtp: int | None = None) -> Iterator[Postfix]:
    """A Postfix that ends with it.

    With a server that takes mails by LMTP, what comes back goes there, and so does mail to full.example; and Postfix
    tells at once of what it could not deliver yet.
    """
    # Postfix's own user has to reach its folder, so it can't lie in the private one of the test.
    folder = Path(tempfile.mkdtemp(prefix="prefcentre-postfix-"))
    folder.chmod(0o755)
    port = free_port()
    _write_configuration(folder, port, smtpd.port, lmtp)
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*root, "postfix", "-c", str(folder / "etc")]
    process = subprocess.Popen(
        [*command, "start-fg"],
        env=os.environ | {"PATH": PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: process.poll() is not None or greets(port))
        assert process.poll() is None, _read(folder / "mail.log")
        yield Postfix(port, smtpd, folder / "mail.log", folder / "returned")
    finally:
        subprocess.run([*command, "stop"], env=os.environ | {"PATH": PATH}, check=False)
        process.wait(30)
        subprocess.run([*root, "rm", "-rf", str(folder)], check=True)


def _write_configuration(folder: Path, port: int, sink: int, lmtp: int | None) -> None:
    for name in ("etc", "queue", "data", "returned"):
        (folder / name).mkdir()
    # Postfix hands mails to no program as root.
    (folder / "returned").chmod(0o777)
    if os.geteuid() == 0:
        os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    else:
        subprocess.run(["sudo", "-n", "chown", "postfix", str(folder / "data")], check=True)
        subprocess.run(["sudo", "-n", "chown", "-R", "root", str(folder / "queue")], check=True)
    daemons = next(
        path
        for path in ("/usr/lib/postfix/sbin", "/usr/libexec/postfix", "/usr/lib/postfix")
        if Path(path, "master").exists()
    )
    etc, hops = folder / "etc", {"unknown": free_port(), "small": free_port()}
    main = MAIN.format(folder=folder, daemons=daemons, sink=sink)
    back = f"lmtp:[127.0.0.1]:{lmtp}" if lmtp else "returns:"
    more = f"inline:{{ {{ full.example = {back} }} }}" if lmtp else ""
    warned = "1s" if lmtp else "0h"
    main += RETURNS.format(folder=folder, more=more, warned=warned, **hops)
    (etc / "main.cf").write_text(main)
    services = (SERVICES + HOPS).replace("{folder}", str(folder)).replace("{port}", str(port))
    for name, number in hops.items():
        services = services.replace(f"{{{name}}}", str(number))
    (etc / "master.cf").write_text(services)
    (etc / "returns").write_text(RETURNS_MAP + back + "\n")
    (etc / "keep").write_text(KEEP)


def greets(port: int, words: bytes = b"220") -> bool:
    """Whether a server says these words first."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(len(words)) == words
    except OSError:
        return False


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else "no log"
