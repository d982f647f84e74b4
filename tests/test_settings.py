from pathlib import Path

import pytest
from pydantic import ValidationError

from prefcentre import settings as configuration
from prefcentre.errors import SettingsError
from prefcentre.settings import DkimKey, Settings, child_environment, is_loopback, parse_smtp_url

SECRET = "correct horse battery staple"


def test_variables_beat_the_secrets_file_which_beats_the_settings_file(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = configuration.load().home
    (folder / "prefcentre.toml").write_text('listen = "127.0.0.1:1"\nmax_lateness = 1\n')
    (folder / "secrets.toml").write_text(
        'listen = "127.0.0.1:2"\nsecret_keys = ["from the secrets file"]\n'
    )
    assert configuration.load().listen == "127.0.0.1:2"
    monkeypatch.setenv("PREFCENTRE_LISTEN", "127.0.0.1:3")
    found = configuration.load()
    assert (found.listen, found.max_lateness) == ("127.0.0.1:3", 1)
    assert found.secret_keys[0].get_secret_value() == "from the secrets file"


def test_nested_names_are_written_with_two_underscores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFCENTRE_BRAND__NAME", "Acme")
    assert configuration.load().brand.name == "Acme"


def test_keys_in_a_variable_are_separated_by_commas_newest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFCENTRE_SECRET_KEYS", "the-newest-key-of-all, the-older-key-of-two")
    keys = [key.get_secret_value() for key in configuration.load().secret_keys]
    assert keys == ["the-newest-key-of-all", "the-older-key-of-two"]


@pytest.mark.parametrize("written", ['["the-newest-key-of-all"]', "the-newest-key-of-all,"])
def test_a_list_in_brackets_and_a_comma_too_many_are_understood(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_SECRET_KEYS", written)
    assert [k.get_secret_value() for k in configuration.load().secret_keys] == [
        "the-newest-key-of-all"
    ]


@pytest.mark.parametrize("name", ["SECRET_KEYS", "LOOKUP_KEYS", "CHAIN_KEYS"])
def test_a_short_key_is_refused_and_not_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PREFCENTRE_{name}", "hunter2")
    with pytest.raises(SettingsError, match="at least 16 characters") as caught:
        configuration.load()
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_shown_in_the_settings_own_words() -> None:
    found = Settings(secret_keys=(SECRET,), smtp_url="smtps://me:letmein@mail.example.com")
    assert SECRET not in repr(found)
    assert "letmein" not in repr(found.smtp)


def test_a_wrong_value_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFCENTRE_SMTP_CONNECTIONS", "0")
    with pytest.raises(SettingsError, match="smtp_connections"):
        configuration.load()


def test_a_name_that_does_not_exist_in_the_file_is_refused(home: object) -> None:
    (configuration.load().home / "prefcentre.toml").write_text('brnad = "Acme"\n')
    with pytest.raises(SettingsError, match="brnad"):
        configuration.load()


def test_a_damaged_file_is_refused_in_words(home: object) -> None:
    (configuration.load().home / "prefcentre.toml").write_text("listen = \n")
    with pytest.raises(SettingsError, match=r"prefcentre\.toml"):
        configuration.load()


def test_without_keys_the_command_that_makes_them_is_named() -> None:
    with pytest.raises(SettingsError, match="prefcentre init"):
        Settings().require_keys()


@pytest.mark.parametrize(
    ("url", "host", "port", "security"),
    [
        ("smtp://127.0.0.1", "127.0.0.1", 25, "none"),
        ("smtp://localhost:2525", "localhost", 2525, "none"),
        ("smtp://[::1]:2525", "::1", 2525, "none"),
        ("smtps://mail.example.com", "mail.example.com", 465, "tls"),
        ("smtp+starttls://mail.example.com", "mail.example.com", 587, "starttls"),
        ("smtp://relay.example.com?tls=none", "relay.example.com", 25, "none"),
    ],
)
def test_a_mail_server_is_read_from_its_address(
    url: str, host: str, port: int, security: str
) -> None:
    found = parse_smtp_url(url)
    assert (found.host, found.port, found.security) == (host, port, security)


def test_a_password_with_special_characters_is_unquoted() -> None:
    found = parse_smtp_url("smtps://me%40example.com:p%3Aw%2F@mail.example.com")
    assert found.username == "me@example.com"
    assert found.password is not None
    assert found.password.get_secret_value() == "p:w/"


@pytest.mark.parametrize(
    "url",
    [
        "smtp://relay.example.com",
        "smtp://10.0.0.1:25",
        "http://a",
        "smtp://",
        "mail.example.com",
        "smtp://127.0.0.1:99999",
    ],
)
def test_an_address_that_is_none_or_would_send_in_the_clear_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(smtp_url=url)


def test_no_mail_server_is_said_when_it_is_needed() -> None:
    with pytest.raises(SettingsError, match="PREFCENTRE_SMTP_URL"):
        _ = Settings(smtp_url="").smtp


@pytest.mark.parametrize(
    "url", ["https://news.example.com/", "http://127.0.0.1:8000", "http://[::1]:80"]
)
def test_a_public_address_loses_its_slash(url: str) -> None:
    assert Settings(public_url=url).public_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["http://news.example.com", "news.example.com", "ftp://127.0.0.1", ""]
)
def test_a_public_address_in_the_clear_or_none_at_all_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(public_url=url)


@pytest.mark.parametrize("listen", ["8000", ":8000", "127.0.0.1:", "127.0.0.1:http"])
def test_a_place_to_listen_at_needs_host_and_port(listen: str) -> None:
    with pytest.raises(ValidationError):
        Settings(listen=listen)


def test_relative_paths_start_at_home(home: object) -> None:
    found = configuration.load()
    assert found.database_url == f"sqlite:///{found.home}/var/prefcentre.db"
    assert found.data_dir == found.home / "var"
    assert found.campaigns_dir == found.home / "campaigns"
    assert found.templates_dir == found.home / "templates/emails"


def test_a_home_with_a_number_sign_in_its_name_is_kept(home: object) -> None:
    odd = configuration.load().home / "50% of #1"
    found = Settings(home=odd)
    assert found.data_dir == odd / "var"
    assert found.database_url == f"sqlite:///{odd}/var/prefcentre.db"


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a.db?mode=ro"]
)
def test_a_database_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="name a file"):
        Settings(database_url=url)


def test_the_old_spelling_of_postgresql_is_understood() -> None:
    found = Settings(database_url="postgres://me@db/news")
    assert found.database_url == "postgresql://me@db/news"
    assert not found.is_sqlite
    assert found.data_dir == found.home / "var"


def test_the_controller_is_the_brand_unless_it_is_named() -> None:
    assert Settings(brand={"name": "Acme"}).controller_name == "Acme"
    assert Settings(brand={"name": "Acme"}, controller="Acme Ltd").controller_name == "Acme Ltd"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_this_machine_is_known_without_dns(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "localhost.example.com", ""])  # noqa: S104 - never bound
def test_another_machine_is_not_this_one(host: str) -> None:
    assert not is_loopback(host)


def test_a_child_gets_our_environment_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFCENTRE_LISTEN", "127.0.0.1:3")
    found = child_environment(PREFCENTRE_DEMO="true")
    assert (found["PREFCENTRE_LISTEN"], found["PREFCENTRE_DEMO"]) == ("127.0.0.1:3", "true")


def test_keys_that_sign_mail_are_tables_with_files_in_the_home_folder(home: object) -> None:
    folder = configuration.load().home
    (folder / "prefcentre.toml").write_text(
        '[[dkim]]\ndomain = "example.com"\nselector = "s1"\nkey_file = "dkim-rsa.pem"\n'
        '[[dkim]]\ndomain = "example.com"\nselector = "s2"\nkey_file = "/etc/dkim.pem"\n'
    )
    files = [key.key_file for key in configuration.load().dkim]
    assert files == [folder / "dkim-rsa.pem", Path("/etc/dkim.pem")]


def test_a_key_that_signs_mail_can_come_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PREFCENTRE_DKIM", '[{"domain": "example.com", "selector": "s1", "key_file": "a.pem"}]'
    )
    (key,) = configuration.load().dkim
    assert (key.domain, key.selector, key.key_file.name) == ("example.com", "s1", "a.pem")


@pytest.mark.parametrize("selector", ["", ".", "s1.", "s 1", "s1;d=evil", "s1\n", "ß"])
def test_a_selector_that_is_no_dns_name_is_refused(selector: str) -> None:
    with pytest.raises(ValidationError):
        DkimKey(domain="example.com", selector=selector, key_file=Path("a.pem"))


def test_the_country_of_phone_numbers_is_two_letters_of_a_country(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFCENTRE_PHONE_COUNTRY", "bg")
    assert configuration.load().phone_country == "BG"
    monkeypatch.setenv("PREFCENTRE_PHONE_COUNTRY", "Bulgaria")
    with pytest.raises(SettingsError, match="two letters of a country"):
        configuration.load()
