"""Mail servers, the accounts through which we use them, and limits, as the settings describe them."""

import ipaddress
from datetime import date
from typing import Any, Literal, Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

# A lower one is a day's limit: it would keep a message waiting for more than a quarter of an hour.
SLOWEST_PER_SECOND = 0.001
MOST_CONNECTIONS = 500
_URL_HELP = (
    "must look like smtp+starttls://user:password@host:587, smtps://… or smtp://127.0.0.1:25"
)


class SmtpServer(BaseModel):
    """Where mail is handed over, from ``smtp://``, ``smtps://`` or ``smtp+starttls://``."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    username: str | None = None
    password: SecretStr | None = None
    security: Literal["none", "starttls", "tls"] = "none"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is this machine, so that nothing crosses a network."""
        return is_loopback(self.host)


class Rates(BaseModel):
    """How much at most, in any stretch of that length; what is not given is not limited."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    per_second: float | None = Field(
        None, ge=SLOWEST_PER_SECOND, description="Messages a second; 0.2 is one each five seconds."
    )
    per_minute: int | None = Field(None, ge=1, description="Messages in any 60 seconds.")
    per_hour: int | None = Field(None, ge=1, description="Messages in any hour.")
    per_day: int | None = Field(None, ge=1, description="Messages in any 24 hours.")


class SmtpAccount(Rates):
    """One way out: a mail server with a name, and how much it is used."""

    name: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$",
        description="What it is called in logs and by limits: small letters, digits, hyphens.",
    )
    server: SmtpServer = Field(description="Its address, given as `url`, as `smtp_url` is.")
    weight: float = Field(
        1.0, gt=0, description="Its part of the messages, beside the other accounts'."
    )
    connections: int = Field(
        20, ge=1, le=MOST_CONNECTIONS, description="Open connections, of all processes together."
    )
    messages_per_connection: int = Field(
        0, ge=0, description="Messages after which a connection is closed; 0 is any number."
    )
    pipelining: bool = Field(
        True, description="Whether the next message's commands may follow right behind the dot."
    )
    dsn: bool = Field(
        True, description="Whether to ask for delivery reports where the server offers them (R72)."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_url(cls, given: Any) -> Any:
        # The address is taken apart at once and not kept, so that its password can't be shown by accident.
        if isinstance(given, dict) and "url" in given:
            if "server" in given:
                raise ValueError("name the mail server by url alone")
            rest = {name: value for name, value in given.items() if name != "url"}
            return rest | {"server": parse_smtp_url(str(given["url"]))}
        if isinstance(given, dict) and "server" not in given:
            raise ValueError("url is missing: the address of the mail server")
        return given


class ThrottleEntry(Rates):
    """A limit for everything that goes to a domain, or that comes from one."""

    domain: str | None = Field(None, description="The recipients' domain.")
    sender: str | None = Field(None, description="The domain in From.")
    connections: int | None = Field(
        None, ge=1, le=MOST_CONNECTIONS, description="Messages on the way at the same time (R56)."
    )
    warm_up: tuple[int, ...] = Field(
        (), description="The most messages of each day of a plan, the first day first (R55)."
    )
    warm_up_from: date | None = Field(None, description="The plan's first day, in UTC.")

    @field_validator("domain", "sender")
    @classmethod
    def _read_domain(cls, value: str | None) -> str | None:
        return None if value is None else normal_domain(value)

    @field_validator("warm_up")
    @classmethod
    def _check_plan(cls, plan: tuple[int, ...]) -> tuple[int, ...]:
        if any(cap < 1 for cap in plan):
            raise ValueError("every day of a plan needs at least 1 message")
        return plan

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if (self.domain is None) == (self.sender is None):
            raise ValueError("name either domain (recipients') or sender (the domain in From)")
        if bool(self.warm_up) != (self.warm_up_from is not None):
            raise ValueError("warm_up and warm_up_from belong together")
        return self

    @property
    def scope(self) -> str:
        """What it limits, in the words of the table of limits."""
        return f"sender:{self.sender}" if self.domain is None else f"domain:{self.domain}"


def parse_smtp_url(url: str) -> SmtpServer:
    """Read a mail server's address. Raises ValueError in words when it is not one, or would send in the clear."""
    parts, named_port = taken_apart(url, _URL_HELP)
    schemes: dict[str, tuple[Literal["none", "starttls", "tls"], int]] = {
        "smtp": ("none", 25),
        "smtps": ("tls", 465),
        "smtp+starttls": ("starttls", 587),
    }
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(_URL_HELP)
    security, port = schemes[parts.scheme]
    allows_plain = parse_qs(parts.query).get("tls") == ["none"]
    if security == "none" and not allows_plain and not is_loopback(parts.hostname):
        raise ValueError(
            "would send without TLS to another machine; use smtps:// or smtp+starttls://, or add ?tls=none on purpose"
        )
    return SmtpServer(
        host=parts.hostname,
        port=named_port or port,
        username=unquote(parts.username) if parts.username else None,
        password=SecretStr(unquote(parts.password)) if parts.password else None,
        security=security,
    )


def taken_apart(url: str, help_: str) -> tuple[SplitResult, int | None]:
    """The parts of a server's address, and its port. Raises ValueError with these words, which repeat no password."""
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        # What Python says here repeats a part of the address, which may be the password.
        raise ValueError(help_) from None


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine, without asking DNS."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def normal_domain(text: str) -> str:
    """The lower-case A-label of a domain. Raises ValueError when it is none."""
    try:
        found = validate_email(
            f"x@{text.strip().rstrip('.')}",
            check_deliverability=False,
            globally_deliverable=False,
        ).ascii_domain.lower()
    except EmailNotValidError:
        found = ""
    if "." not in found:
        raise ValueError("must be a domain such as example.com")
    return found
