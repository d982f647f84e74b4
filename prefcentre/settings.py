"""The configuration, read once and checked; nothing else in the program reads the environment.

Values come, strongest first, from ``PREFCENTRE_*`` variables (nested names with ``__``), from ``secrets.toml``
(written by ``prefcentre init``, mode 600) and from ``prefcentre.toml``, both in ``PREFCENTRE_HOME``.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnreadableVariable

from prefcentre import failpoints, phones
from prefcentre.accounts import (
    SmtpAccount,
    SmtpServer,
    ThrottleEntry,
    is_loopback,
    parse_smtp_url,
)
from prefcentre.errors import SettingsError
from prefcentre.sections import Brand, DkimKey, SignUpForm, with_logo
from prefcentre.sections_feedback import Feedback
from prefcentre.sections_region import DataPlace, Region
from prefcentre.sections_retention import Retention
from prefcentre.sections_webhooks import Reputation, Webhooks

__all__ = [
    "Brand",
    "DataPlace",
    "DkimKey",
    "Region",
    "Settings",
    "SignUpForm",
    "SmtpAccount",
    "SmtpServer",
    "ThrottleEntry",
    "child_environment",
    "is_loopback",
    "load",
    "move_to",
    "parse_smtp_url",
]

SECRETS_FILE = "secrets.toml"
SETTINGS_FILE = "prefcentre.toml"
MIN_SECRET_LENGTH = 16
# From which age people may agree alone; countries may lower the sixteen years of GDPR art. 8 to thirteen.
_USUAL_AGE, _AGES = 16, {"BG": 14}


class Settings(BaseSettings):
    """Everything that can be set. See docs/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix="PREFCENTRE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    home: Path = Field(
        Path(), description="The folder of this installation; relative paths start here."
    )
    database_url: str = Field("sqlite:///var/prefcentre.db", description="SQLite or PostgreSQL.")
    smtp_url: str | None = Field(None, description="The mail server that takes our mail.")
    public_url: str = Field(
        "http://127.0.0.1:8000", description="The address people reach the pages at."
    )
    listen: str = Field("127.0.0.1:8000", description="Where the web server listens, as host:port.")
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (),
        description="Web servers of yours in front, as addresses or networks: their X-Forwarded-For says who asked. Nobody else's is believed.",
    )
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys that sign links, newest first; old ones verify for ever."
    )
    lookup_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys for hashes of addresses, newest first. Never take one away."
    )
    chain_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys that seal the consent ledger, newest first. Never take one away."
    )
    tracking_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Fernet keys of open and click links, newest first."
    )
    brand: Brand = Field(default_factory=Brand, description="Who is sending, as people see it.")
    templates_dir: Path = Field(Path("templates/emails"), description="Your own mail templates.")
    campaigns_dir: Path = Field(Path("campaigns"), description="Your campaigns as files.")
    service_sender: str = Field(
        "",
        description="The address that confirmations and links come from; default: the brand's contact address, else "
        "no-reply at the public address.",
    )
    preference_link_days: int = Field(
        60,
        ge=1,
        le=3650,
        description="How many days a mailed link opens the preference page; later it can only stop things.",
    )
    phone_country: str = Field(
        "",
        description="The country of phone numbers that are written without one, as two letters such as BG; without it "
        "every number needs its country code.",
    )
    max_lateness: int = Field(
        3600, ge=0, description="Seconds after which an overdue campaign is held (R191)."
    )
    processes: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Sending processes. Default: one for each core, at most 4 on SQLite and 16 on PostgreSQL.",
    )
    smtp_connections: int = Field(
        20, ge=1, le=500, description="Open connections to the mail server of `smtp_url`."
    )
    smtp_accounts: tuple[SmtpAccount, ...] = Field(
        (), description="Several mail servers in place of `smtp_url`, see below; JSON."
    )
    throttles: tuple[ThrottleEntry, ...] = Field(
        (), description="Limits for domains, see below; JSON."
    )
    dkim_selectors: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="DKIM selectors that doctor looks up for a sender's domain."
    )
    dkim: tuple[DkimKey, ...] = Field(
        (), description="Keys that sign our mail here instead of at the mail server: `[[dkim]]`."
    )
    check_links: bool | None = Field(
        None,
        description="Whether a campaign's links are tried before it goes. Default: only when mail leaves this machine.",
    )
    spamd: str = Field(
        "",
        pattern=r"^(.+:\d+)?$",
        description="SpamAssassin's daemon as host:port, asked what it thinks of a campaign before it goes.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        min_length=MIN_SECRET_LENGTH,
        description="Lets a monitoring system read /metrics with “Authorization: Bearer …”; without it only this machine may.",
    )
    oidc_issuer: str = Field(
        "",
        description="The sign-in service of your company (OpenID Connect), such as https://login.example.com/realms/staff.",
    )
    oidc_client_id: str = Field("", description="What that service calls this installation.")
    oidc_client_secret: SecretStr | None = Field(None, description="The secret that goes with it.")
    oidc_name: str = Field("your company account", description="How the sign-in page calls it.")
    retention: Retention = Field(
        default_factory=Retention, description="How many days each kind of data is kept."
    )
    webhooks: Webhooks = Field(
        default_factory=Webhooks, description="What mail providers tell us, see below."
    )
    feedback: Feedback = Field(
        default_factory=Feedback,
        description="Where mail comes back to, and from where it is fetched.",
    )
    reputation: Reputation = Field(
        default_factory=Reputation, description="When bounces and complaints warn and stop."
    )
    sign_up: SignUpForm = Field(
        default_factory=SignUpForm, description="What the form for signing up asks, see below."
    )
    region: Region = Field(
        default_factory=Region, description="Where data may be, and where it goes, see below."
    )
    demo: bool = Field(False, description="Set by “prefcentre demo”: shows the local inbox.")
    demo_inbox: Path | None = Field(
        None, description="Set by “prefcentre demo”: where the local inbox keeps its mails."
    )
    failpoint: str = Field("", description="For tests only: where this program kills itself.")
    controller: str = Field(
        "", description="The controller named on consent events; default: the brand's name."
    )

    @field_validator(
        "trusted_proxies",
        "secret_keys",
        "lookup_keys",
        "chain_keys",
        "tracking_keys",
        "dkim_selectors",
        mode="before",
    )
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        # A list in the environment is written with commas, newest first; JSON would invite quoting mistakes.
        if isinstance(value, str):
            return tuple(
                part.strip()
                for part in value.strip("[] ").replace('"', "").split(",")
                if part.strip()
            )
        return value

    @field_validator("secret_keys", "lookup_keys", "chain_keys")
    @classmethod
    def _refuse_short_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < MIN_SECRET_LENGTH for key in keys):
            raise ValueError(f"every key needs at least {MIN_SECRET_LENGTH} characters")
        return keys

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an https address such as https://news.example.com")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("must begin with https:// unless it is on this machine")
        return value.rstrip("/")

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp_url(cls, value: str | None) -> str | None:
        if value:
            parse_smtp_url(value)
        return value or None

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError("must be host:port, such as 127.0.0.1:8000")
        return value

    @field_validator("phone_country")
    @classmethod
    def _check_country(cls, value: str) -> str:
        code = value.strip().upper()
        if code and not phones.is_country(code):
            raise ValueError("must be the two letters of a country, such as BG or DE")
        return code

    @field_validator("failpoint")
    @classmethod
    def _check_failpoint(cls, value: str) -> str:
        failpoints.parse(value)
        return value

    @field_validator("smtp_accounts")
    @classmethod
    def _check_names(cls, accounts: tuple[SmtpAccount, ...]) -> tuple[SmtpAccount, ...]:
        _refuse_twice("name", [account.name for account in accounts])
        return accounts

    @field_validator("throttles")
    @classmethod
    def _check_scopes(cls, throttles: tuple[ThrottleEntry, ...]) -> tuple[ThrottleEntry, ...]:
        _refuse_twice("limit", [throttle.scope for throttle in throttles])
        return throttles

    @field_validator("oidc_issuer")
    @classmethod
    def _check_issuer(cls, value: str) -> str:
        return cls._check_public_url(value) if value else value

    @model_validator(mode="after")
    def _refuse_half_a_sign_in_service(self) -> "Settings":
        given = (bool(self.oidc_issuer), bool(self.oidc_client_id), bool(self.oidc_client_secret))
        if any(given) and not all(given):
            raise ValueError("oidc_issuer, oidc_client_id and oidc_client_secret belong together")
        return self

    @model_validator(mode="after")
    def _refuse_two_ways_to_say_it(self) -> "Settings":
        if self.smtp_url and self.smtp_accounts:
            raise ValueError(
                "set either smtp_url or smtp_accounts; the first account takes the place of smtp_url"
            )
        return self

    @model_validator(mode="after")
    def _resolve_paths(self) -> "Settings":
        home = self.home.expanduser().resolve()
        resolved: dict[str, Any] = {
            "home": home,
            "brand": with_logo(self.brand, home),
            "templates_dir": home / self.templates_dir,
            "campaigns_dir": home / self.campaigns_dir,
            "database_url": _resolve_sqlite(self.database_url, home),
            "dkim": tuple(
                key.model_copy(update={"key_file": home / key.key_file}) for key in self.dkim
            ),
        }
        for name, value in resolved.items():
            # The model is frozen for everyone else; this is still its construction.
            object.__setattr__(self, name, value)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        home = _home()
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, home / SECRETS_FILE),
            TomlConfigSettingsSource(settings_cls, home / SETTINGS_FILE),
        )

    @property
    def service_sender_address(self) -> str:
        """What service mails come from."""
        host = urlsplit(self.public_url).hostname or ""
        # Mail can't come from a bare number; on this machine alone any name will do.
        host = "localhost.localdomain" if is_loopback(host) or not host else host
        return self.service_sender or self.brand.contact_email or f"no-reply@{host}"

    @property
    def has_mail_server(self) -> bool:
        """Whether mail can be handed to anybody."""
        return bool(self.smtp_accounts or self.smtp_url)

    @property
    def asked_age(self) -> int | None:
        """The age that the form for signing up asks for; None when it asks for none (GDPR art. 8, R100)."""
        if not self.sign_up.for_the_young:
            return None
        return self.sign_up.minimum_age or _AGES.get(self.brand.country, _USUAL_AGE)

    @property
    def keeps_mail_here(self) -> bool:
        """Whether no mail server of ours is another machine, so that what DNS says need not stop anything."""
        return not self.has_mail_server or all(one.server.is_loopback for one in self.accounts)

    @property
    def accounts(self) -> tuple[SmtpAccount, ...]:
        """Every way out; without ``smtp_accounts`` the one of ``smtp_url``. Raises SettingsError when none is set."""
        if self.smtp_accounts:
            return self.smtp_accounts
        if self.smtp_url is None:
            raise SettingsError(
                "No mail server is set. Set PREFCENTRE_SMTP_URL, such as smtp+starttls://user:password@host."
            )
        server = parse_smtp_url(self.smtp_url)
        return (SmtpAccount(name="main", server=server, connections=self.smtp_connections),)

    @property
    def smtp(self) -> SmtpServer:
        """The mail server, or the first of several. Raises SettingsError when none is set."""
        return self.accounts[0].server

    @property
    def listen_host(self) -> str:
        """The host part of ``listen``, an IPv6 address without its brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """The port part of ``listen``."""
        return int(self.listen.rpartition(":")[2])

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of ours."""
        return self.database_url.startswith("sqlite")

    @property
    def data_dir(self) -> Path:
        """Where files of ours live: beside the SQLite database, or ``var`` in the home folder."""
        if self.is_sqlite:
            return Path(self.database_url.removeprefix("sqlite:///")).parent
        return self.home / "var"

    @property
    def journal_dir(self) -> Path:
        """Where the journal of opt-outs is kept."""
        return self.home / self.retention.journal if self.retention.journal else self.data_dir

    @property
    def controller_name(self) -> str:
        """The controller to name on consent events (R79)."""
        return self.controller or self.brand.name

    def require_keys(self) -> None:
        """Refuse to go on without keys: a guessable key would let anyone forge links. Raises SettingsError."""
        missing = [
            name
            for name in ("secret_keys", "lookup_keys", "chain_keys", "tracking_keys")
            if not getattr(self, name)
        ]
        if missing:
            names = ", ".join(f"PREFCENTRE_{name.upper()}" for name in missing)
            raise SettingsError(
                f"No keys yet ({names}). Run “prefcentre init”, which makes them in {self.home / SECRETS_FILE}."
            )


def load() -> Settings:
    """Read the settings. Raises SettingsError that names each wrong value and never shows a secret."""
    try:
        return Settings(home=_home())
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in found['loc']) or 'settings'}: {found['msg'].removeprefix('Value error, ')}"
            for found in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"The settings can't be used: {problems}.") from None
    except UnreadableVariable as error:
        # The message names the setting and never what it holds.
        raise SettingsError(f"A list in a variable must be JSON: {error}.") from None
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{SETTINGS_FILE} or {SECRETS_FILE} in {_home()} can't be read: {error}."
        ) from error


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a process of ours, with more variables set."""
    return dict(os.environ) | extra


def move_to(home: Path) -> None:
    """Make ``home`` the installation of this process and its children, whatever was set before.

    For the demonstration, which must never touch the database or the mail server of a real installation.
    """
    for name in [name for name in os.environ if name.upper().startswith("PREFCENTRE_")]:
        del os.environ[name]
    os.environ["PREFCENTRE_HOME"] = str(home)


def _refuse_twice(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"every {what} may stand here only once: {', '.join(twice)}")


def _home() -> Path:
    return Path(os.environ.get("PREFCENTRE_HOME") or ".").expanduser().resolve()


def _resolve_sqlite(url: str, home: Path) -> str:
    if not url.startswith("sqlite"):
        return url.replace("postgres://", "postgresql://", 1)
    path = url.partition(":///")[2]
    if not path or path == ":memory:" or "?" in path:
        raise ValueError("database_url: name a file, such as sqlite:///var/prefcentre.db")
    return f"sqlite:///{home / path}"
