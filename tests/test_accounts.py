from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from prefcentre import settings as configuration
from prefcentre.accounts import SmtpAccount, ThrottleEntry, parse_smtp_url
from prefcentre.errors import SettingsError
from prefcentre.settings import Settings

PAGE = Path(__file__).resolve().parent.parent / "docs/settings.md"
URL = "smtps://me:letmein@mail.example.com"
TWO = """
[[smtp_accounts]]
name = "main"
url = "smtp+starttls://me:letmein@mail.example.com"
per_second = 14
per_day = 50_000

[[smtp_accounts]]
name = "second"
url = "smtp://127.0.0.1:2525"
weight = 0.5
connections = 5
messages_per_connection = 100
pipelining = false
dsn = false
"""


def write(toml: str) -> None:
    (configuration.load().home / "prefcentre.toml").write_text(toml)


def account(**values: object) -> SmtpAccount:
    return SmtpAccount.model_validate({"name": "main", "url": URL} | values)


def entry(**values: object) -> ThrottleEntry:
    return ThrottleEntry.model_validate(values)


def test_several_mail_servers_are_tables_of_the_file(home: object) -> None:
    write(TWO)
    found = configuration.load()
    main, second = found.accounts
    assert (main.name, main.server.host, main.server.security) == (
        "main",
        "mail.example.com",
        "starttls",
    )
    assert (main.per_second, main.per_minute, main.per_hour, main.per_day) == (
        *(14, None, None),
        50_000,
    )
    assert (main.weight, main.connections, main.messages_per_connection) == (1, 20, 0)
    assert (main.pipelining, main.dsn) == (True, True)
    assert (second.server.port, second.weight, second.connections) == (2525, 0.5, 5)
    assert (second.messages_per_connection, second.pipelining, second.dsn) == (100, False, False)
    assert found.smtp == main.server


def test_several_mail_servers_can_come_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFCENTRE_SMTP_ACCOUNTS", f'[{{"name": "one", "url": "{URL}"}}]')
    assert [account.name for account in configuration.load().accounts] == ["one"]


def test_a_variable_that_is_not_json_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFCENTRE_SMTP_ACCOUNTS", "main=letmein")
    with pytest.raises(SettingsError, match=r"JSON.*smtp_accounts") as caught:
        configuration.load()
    assert "letmein" not in str(caught.value)


def test_one_mail_server_is_an_account_too() -> None:
    (found,) = Settings(smtp_url=URL, smtp_connections=7).accounts
    assert (found.name, found.server.host, found.connections) == ("main", "mail.example.com", 7)
    assert found.per_second is None


def test_without_a_mail_server_there_is_no_account() -> None:
    assert not Settings().has_mail_server
    with pytest.raises(SettingsError, match="PREFCENTRE_SMTP_URL"):
        _ = Settings().accounts


def test_one_mail_server_and_several_are_not_both_set() -> None:
    with pytest.raises(ValidationError, match="either smtp_url or smtp_accounts"):
        Settings(smtp_url=URL, smtp_accounts=(account(),))


def test_a_password_is_shown_neither_by_an_account_nor_by_the_settings() -> None:
    assert "letmein" not in repr(account())
    assert "letmein" not in repr(Settings(smtp_accounts=(account(),)))
    password = account().server.password
    assert password is not None
    assert password.get_secret_value() == "letmein"


@pytest.mark.parametrize(
    "url",
    [
        "smtp://me:letmein@relay.example.com",
        "smtp://relay.example.com:letmein",
        "smtps://me:letmein@[mail.example.com",
        "smtps://me:letmein@mail.example.com\uff0f",
        "me:letmein@mail.example.com",
    ],
)
def test_an_address_that_is_refused_keeps_its_password_to_itself(home: object, url: str) -> None:
    write(f'[[smtp_accounts]]\nname = "main"\nurl = "{url}"\n')
    with pytest.raises(SettingsError, match=r"smtp_accounts\.0") as caught:
        configuration.load()
    assert "letmein" not in str(caught.value)
    with pytest.raises(ValueError, match=r"must look like|without TLS") as told:
        parse_smtp_url(url)
    assert "letmein" not in str(told.value)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "Main"},
        {"name": "a b"},
        {"name": "-a"},
        {"name": ""},
        {"name": "a\n"},
        {"url": "mail.example.com"},
        {"server": {"host": "mail.example.com", "port": 25}},
        {"weight": 0},
        {"connections": 0},
        {"connections": 501},
        {"per_second": 0},
        {"per_second": 0.0001},
        {"per_minute": 0},
        {"per_hour": -1},
        {"per_day": 1.5},
        {"messages_per_connection": -1},
        {"colour": "red"},
    ],
)
def test_an_account_that_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        account(**values)


def test_an_account_without_an_address_is_told_what_is_missing() -> None:
    with pytest.raises(ValidationError, match="url is missing"):
        SmtpAccount.model_validate({"name": "main"})


def test_names_of_accounts_are_unique() -> None:
    with pytest.raises(ValidationError, match="name may stand here only once: main"):
        Settings(smtp_accounts=(account(), account()))


@pytest.mark.parametrize(
    ("urls", "stays"),
    [
        ((), True),
        (("smtp://127.0.0.1",), True),
        (("smtp://127.0.0.1", "smtp://localhost:26"), True),
        (("smtp://127.0.0.1", "smtps://mail.example.com"), False),
        (("smtps://mail.example.com",), False),
    ],
)
def test_mail_stays_on_this_machine_only_when_every_server_is_here(
    urls: tuple[str, ...],
    stays: bool,  # noqa: FBT001 - a table's column
) -> None:
    accounts = tuple(account(name=f"no-{number}", url=url) for number, url in enumerate(urls))
    found = Settings(smtp_accounts=accounts)
    assert (found.keeps_mail_here, found.has_mail_server) == (stays, bool(urls))


def test_limits_for_domains_are_tables_of_the_file(home: object) -> None:
    write(
        '[[throttles]]\ndomain = "Gmail.COM"\nper_second = 0.2\nconnections = 10\n'
        '[[throttles]]\nsender = "bücher.example"\nwarm_up = [50, 100]\nwarm_up_from = 2026-12-01\n'
    )
    gmail, sender = configuration.load().throttles
    assert (gmail.scope, gmail.per_second, gmail.connections) == ("domain:gmail.com", 0.2, 10)
    assert sender.scope == "sender:xn--bcher-kva.example"
    assert (sender.warm_up, sender.warm_up_from) == ((50, 100), date(2026, 12, 1))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"per_second": 1}, "either domain"),
        ({"domain": "example.com", "sender": "example.com"}, "either domain"),
        ({"domain": "localhost"}, "must be a domain"),
        ({"domain": "a@example.com"}, "must be a domain"),
        ({"sender": "a b.example"}, "must be a domain"),
        ({"sender": "example.com", "warm_up": [50]}, "belong together"),
        ({"sender": "example.com", "warm_up_from": "2026-12-01"}, "belong together"),
        (
            {"sender": "example.com", "warm_up": [0], "warm_up_from": "2026-12-01"},
            "at least 1 message",
        ),
        ({"domain": "example.com", "connections": 0}, "connections"),
        ({"domain": "example.com", "per_week": 5}, "per_week"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        entry(**values)


def test_a_domain_is_limited_in_one_place() -> None:
    twice = (entry(domain="example.com"), entry(domain="EXAMPLE.com", per_hour=5))
    with pytest.raises(ValidationError, match=r"only once: domain:example\.com"):
        Settings(throttles=twice)
    both = (entry(domain="example.com"), entry(sender="example.com"))
    assert len(Settings(throttles=both).throttles) == 2


def test_every_key_of_an_account_and_of_a_limit_is_described() -> None:
    page = PAGE.read_text(encoding="utf-8")
    accounts = page.partition("## Several mail servers")[2].partition("\n## ")[0]
    limits = page.partition("## Limits for domains")[2].partition("\n## ")[0]
    for text, model in ((accounts, SmtpAccount), (limits, ThrottleEntry)):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert f"`{'url' if name == 'server' else name}`" in text, name
