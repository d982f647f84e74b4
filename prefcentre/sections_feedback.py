"""Settings of mail that comes back: the domain it comes back to, and the mailboxes it is fetched from."""

from typing import Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from prefcentre.accounts import is_loopback, normal_domain, taken_apart

_URL_HELP = "must be like imaps://user:password@mail.example.com, imap+starttls://… or pop3s://…, with %40 for an @ in the name"
_SCHEMES: dict[str, tuple[Literal["imap", "pop3"], Literal["none", "starttls", "tls"], int]] = {
    "imap": ("imap", "none", 143),
    "imaps": ("imap", "tls", 993),
    "imap+starttls": ("imap", "starttls", 143),
    "pop3": ("pop3", "none", 110),
    "pop3s": ("pop3", "tls", 995),
    "pop3+starttls": ("pop3", "starttls", 110),
}


class MailboxServer(BaseModel):
    """Where a mailbox is, read from its address."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    protocol: Literal["imap", "pop3"]
    security: Literal["none", "starttls", "tls"]
    host: str
    port: int
    username: str
    password: SecretStr


class Mailbox(BaseModel):
    """A mailbox that mails come back to."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
        description="What it is called in logs and lists: small letters, digits, hyphens.",
    )
    server: MailboxServer = Field(
        description="Its address with name and password, given as `url`: `imaps://`, `imap+starttls://`, `pop3s://` or "
        "`pop3+starttls://`."
    )
    folder: str = Field("INBOX", min_length=1, description="The folder that is read (IMAP).")
    move_to: str = Field(
        "",
        description="The folder that a mail goes to once it is safe with us (IMAP); empty leaves it where it is.",
    )
    delete: bool = Field(
        False, description="Whether a mail is deleted there once it is safe with us (POP3)."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_url(cls, given: Any) -> Any:
        # Taken apart at once and not kept, so that the password can't be shown by accident.
        if isinstance(given, dict) and "server" not in given:
            if "url" not in given:
                raise ValueError("url is missing: the address of the mailbox")
            rest = {name: value for name, value in given.items() if name != "url"}
            return rest | {"server": parse_mailbox_url(str(given["url"]))}
        return given

    @model_validator(mode="after")
    def _check(self) -> "Mailbox":
        if self.server.protocol == "pop3" and self.move_to:
            raise ValueError("POP3 knows no folders: leave move_to away, or use IMAP")
        if self.server.protocol == "imap" and self.delete:
            raise ValueError("delete is for POP3; with IMAP name the folder in move_to")
        if self.move_to and self.move_to == self.folder:
            raise ValueError("move_to must be another folder than the one that is read")
        return self


class Feedback(BaseModel):
    """Mail that comes back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str = Field(
        "",
        description="The domain that bounces and unsubscribe mails come back to, such as bounces.example.com; its mail has to "
        "reach us by a mailbox or a pipe. Empty: the domain of each campaign's sender.",
    )
    mailboxes: tuple[Mailbox, ...] = Field(
        (), description="Mailboxes that what comes back is fetched from, see below."
    )
    poll_seconds: int = Field(
        60, ge=10, description="How often a mailbox is looked at; one that fails more seldom."
    )
    largest_mib: int = Field(
        20, ge=1, le=64, description="Larger mails stay in the mailbox, and status says so."
    )

    @field_validator("domain")
    @classmethod
    def _as_domain(cls, text: str) -> str:
        return normal_domain(text) if text else ""

    @field_validator("mailboxes")
    @classmethod
    def _names_differ(cls, mailboxes: tuple[Mailbox, ...]) -> tuple[Mailbox, ...]:
        names = [mailbox.name for mailbox in mailboxes]
        if len(set(names)) < len(names):
            raise ValueError("two mailboxes have the same name")
        return mailboxes

    def domain_for(self, sender_domain: str) -> str:
        """The domain of return paths of mails from this domain (R71)."""
        return self.domain or sender_domain

    @property
    def takes_mail(self) -> bool:
        """Whether mail that people write to us is read at all, so that they may leave by one (R39)."""
        return bool(self.domain or self.mailboxes)


def parse_mailbox_url(url: str) -> MailboxServer:
    """Read a mailbox's address. Raises ValueError in words when it is none, or would show the password on the way."""
    parts, named_port = taken_apart(url, _URL_HELP)
    if (
        parts.scheme not in _SCHEMES
        or not parts.hostname
        or not parts.username
        or not parts.password
    ):
        raise ValueError(_URL_HELP)
    protocol, security, port = _SCHEMES[parts.scheme]
    if security == "none" and not is_loopback(parts.hostname):
        raise ValueError(
            "would send the password without TLS to another machine; use imaps://, pop3s:// or …+starttls://"
        )
    return MailboxServer(
        protocol=protocol,
        security=security,
        host=parts.hostname,
        port=named_port or port,
        username=unquote(parts.username),
        password=SecretStr(unquote(parts.password)),
    )
