"""A Dovecot of our own: its configuration, mails and sockets in a scratch folder, on free ports of 127.0.0.1."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.installation import eventually, free_port
from tests.postfix.conftest import PATH, greets

EXIM = Path("/usr/local/lib/prefcentre-tests/usr/sbin/exim4")
DOVECOT = shutil.which("dovecot", path=PATH)
PASSWORD = "s3cret word"
# Every address of the domain has the one mailbox, as a catch-all has it; the other is as good as full.
MAIN = """\
base_dir = {folder}/run
state_dir = {folder}/run
instance_name = {folder}
log_path = {folder}/dovecot.log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
login_trusted_networks = 127.0.0.1
auth_mechanisms = plain
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_plugins = quota
first_valid_uid = 1
protocol lmtp {{
  postmaster_address = postmaster@mx.test.example
}}
plugin {{
  quota = maildir:User quota
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%Ld allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""
USERS = """\
returns@bounces.example.com:{{PLAIN}}{password}:{user}:{group}::{folder}/mail/bounces.example.com::
full@full.example:{{PLAIN}}{password}:{user}:{group}::{folder}/mail/full.example::userdb_quota_rule=*:bytes=10
"""


if os.geteuid() != 0:
    # Dovecot and Exim give mails to other users; the header of the test run says so.
    collect_ignore_glob = ["test_*.py"]


@dataclass(frozen=True)
class Dovecot:
    """A running Dovecot, with one mailbox for all of bounces.example.com."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def certificate(self) -> Path:
        """What to trust, as SSL_CERT_FILE."""
        return self.folder / "cert.pem"

    def url(self, scheme: str = "imaps", password: str = PASSWORD) -> str:
        """What to write into the settings."""
        port = self.ports[scheme.partition("+")[0]]
        words = password.replace(" ", "%20")
        return f"{scheme}://returns%40bounces.example.com:{words}@127.0.0.1:{port}"

    def put(self, *mails: bytes, folder: str = "INBOX") -> None:
        """Put mails into the mailbox."""
        for mail in mails:
            self.admin("save", "-m", folder, stdin=mail)

    def there(self, folder: str = "INBOX") -> list[str]:
        """The subjects of the mails in a folder, in order."""
        return self.subjects("mailbox", folder, "all")

    def subjects(self, *query: str) -> list[str]:
        """The subjects of the mails that a search of doveadm's finds, in order."""
        return sorted(self.admin("fetch", "hdr.subject", *query).splitlines()[1:])

    def kick(self) -> None:
        """Throw everybody out, and wait until they are."""
        self._ask("kick", "returns@bounces.example.com")

    def admin(self, *words: str, stdin: bytes = b"") -> str:
        """Ask Dovecot's own command about the mailbox."""
        return self._ask(
            *words[0].split(), "-u", "returns@bounces.example.com", *words[1:], stdin=stdin
        )

    def _ask(self, *words: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["doveadm", "-c", self.folder / "conf", "-f", "tab", *words],
            input=stdin,
            capture_output=True,
            env=os.environ | {"PATH": PATH},
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot() as found:
        yield found


@contextmanager
def running_dovecot() -> Iterator[Dovecot]:
    """A Dovecot that ends with it."""
    assert DOVECOT is not None, "dovecot is missing: make test-full installs it"
    # Its own users have to reach its folder, so it can't lie in the private one of the test.
    folder = Path(tempfile.mkdtemp(prefix="prefcentre-dovecot-"))
    folder.chmod(0o755)
    ports = {name: free_port() for name in ("imap", "imaps", "pop3", "pop3s", "lmtp")}
    _write_configuration(folder, ports)
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [DOVECOT, "-F", "-c", folder / "conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        eventually(
            lambda: (
                process.poll() is not None
                or (
                    greets(ports["lmtp"])
                    and greets(ports["imap"], b"* O")
                    and greets(ports["pop3"], b"+OK")
                )
            )
        )
        assert process.poll() is None, (folder / "stderr").read_text()
        yield Dovecot(folder, ports)
    finally:
        # Asked to end, it ends its own processes first.
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


def _write_configuration(folder: Path, ports: dict[str, int]) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    nobody = pwd.getpwnam("nobody")
    users = USERS.format(password=PASSWORD, user=nobody.pw_uid, group=nobody.pw_gid, folder=folder)
    (folder / "users").write_text(users)
    (folder / "conf").write_text(MAIN.format(folder=folder, **ports))
    (folder / "mail").mkdir()
    # Dovecot writes mails as the user whose they are.
    (folder / "mail").chmod(0o777)


EXIM_MAIN = """\
exim_path = {exim}
spool_directory = {folder}/spool
log_file_path = {folder}/log-%slog
pid_file_path = {folder}/exim.pid
primary_hostname = mx.exim.example
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
tls_advertise_hosts =
keep_environment =
deliver_drop_privilege = true
acl_smtp_rcpt = all
acl_smtp_data = all

begin acl
all:
  accept

begin routers
mailbox:
  driver = manualroute
  domains = bounces.example.com : full.example
  transport = mailbox
  route_list = * 127.0.0.1
  self = send
others:
  driver = manualroute
  transport = others
  route_list = * 127.0.0.1
  self = send

begin transports
mailbox:
  driver = smtp
  protocol = lmtp
  port = {lmtp}
  allow_localhost
others:
  driver = smtp
  port = {sink}
  allow_localhost

begin retry
* * F,1h,1s
"""


@contextmanager
def running_exim(sink: int, lmtp: int) -> Iterator[str]:
    """An Exim that ends with it, with its URL; what comes back goes to a mailbox, all else to the sink."""
    assert EXIM.exists(), "exim4 is missing: make test-full installs it"
    folder = Path(tempfile.mkdtemp(prefix="prefcentre-exim-"))
    folder.chmod(0o755)
    (folder / "spool").mkdir()
    port = free_port()
    (folder / "conf").write_text(
        EXIM_MAIN.format(folder=folder, exim=EXIM, port=port, lmtp=lmtp, sink=sink)
    )
    for path in (folder, folder / "spool"):
        shutil.chown(path, "Debian-exim", "Debian-exim")
    process = subprocess.Popen(
        [EXIM, "-C", folder / "conf", "-bdf", "-q1s"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # What it starts for each mail ends with it.
        start_new_session=True,
    )
    try:
        eventually(lambda: process.poll() is not None or greets(port))
        assert process.poll() is None
        yield f"smtp://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(folder)
