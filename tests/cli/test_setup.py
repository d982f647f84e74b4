import stat
import tomllib
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.conftest import run_apart, run_here

KEYS = ["secret_keys", "lookup_keys", "chain_keys", "tracking_keys"]


@pytest.fixture
def new_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "new"
    monkeypatch.setenv("PREFCENTRE_HOME", str(folder))
    return folder


def secrets_in(home: Path) -> dict[str, list[str]]:
    return tomllib.loads((home / "secrets.toml").read_text())


def test_it_makes_all_keys_and_the_tables(new_home: Path) -> None:
    found = run_here("init", "--json").ok().json
    assert found["keys_made"] == KEYS
    assert found["database"] == "created"
    assert (new_home / "var" / "prefcentre.db").exists()
    keys = secrets_in(new_home)
    assert list(keys) == KEYS
    assert all(len(key) >= 43 for name in KEYS for key in keys[name])
    assert len({key for name in KEYS for key in keys[name]}) == len(KEYS)
    Fernet(keys["tracking_keys"][0])
    assert run_here("db", "check", "--json").ok().json["ok"]


def test_nobody_else_can_read_the_keys(new_home: Path) -> None:
    run_here("init").ok()
    assert stat.S_IMODE((new_home / "secrets.toml").stat().st_mode) == 0o600


def test_a_second_time_changes_nothing_and_says_so(new_home: Path) -> None:
    run_here("init").ok()
    before = (new_home / "secrets.toml").read_bytes()
    found = run_here("init", "--json").ok().json
    assert (found["keys_made"], found["database"]) == ([], "current")
    assert (new_home / "secrets.toml").read_bytes() == before


def test_keys_that_are_set_elsewhere_are_not_made(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_SECRET_KEYS", "a key from the environment")
    found = run_here("init", "--json").ok().json
    assert found["keys_made"] == KEYS[1:]
    assert "secret_keys" not in secrets_in(new_home)


def test_keys_that_are_in_the_file_stay_beside_new_ones(new_home: Path) -> None:
    new_home.mkdir()
    (new_home / "secrets.toml").write_text('# Ours.\nlookup_keys = ["a key of long ago"]\n')
    run_here("init").ok()
    assert secrets_in(new_home)["lookup_keys"] == ["a key of long ago"]
    assert sorted(secrets_in(new_home)) == sorted(KEYS)
    assert "# Ours." in (new_home / "secrets.toml").read_text()


def test_an_older_database_is_brought_up_to_date(new_home: Path) -> None:
    run_here("init").ok()
    assert "up to date already" in run_here("init").ok().stdout


def test_a_folder_that_can_not_be_made_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = run_apart("init", PREFCENTRE_HOME=str(tmp_path / "file" / "home"))
    assert found.code == 1
    assert "PREFCENTRE_HOME" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_wrong_setting_is_named_and_nothing_is_made(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_PUBLIC_URL", "news.example.com")
    found = run_here("init")
    assert found.code == 1
    assert "public_url" in found.stderr
    assert not new_home.exists()


def test_what_comes_next_is_said_to_people(new_home: Path) -> None:
    said = run_here("init").ok().stdout
    assert str(new_home / "secrets.toml") in said
    assert "PREFCENTRE_SMTP_URL" in said


def test_who_has_several_mail_servers_need_not_name_one(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "PREFCENTRE_SMTP_ACCOUNTS", '[{"name": "main", "url": "smtps://mail.example.com"}]'
    )
    assert "PREFCENTRE_SMTP_URL" not in run_here("init").ok().stdout


@pytest.mark.parametrize("command", ["run", "web", "worker"])
def test_nothing_runs_before_it(command: str, new_home: Path) -> None:
    found = run_here(command)
    assert found.code == 1
    assert "prefcentre init" in found.stderr
