from pathlib import Path

import pytest

from prefcentre.context import Context
from tests.conftest import Cli


@pytest.fixture(autouse=True)
def _no_network(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "secrets.toml").chmod(0o600)
    monkeypatch.setenv("PREFCENTRE_PUBLIC_URL", "http://127.0.0.1:1")


def test_an_installation_without_errors_is_ok(cli: Cli, context: Context) -> None:
    found = cli("doctor", "--json").ok().json
    assert found["ok"] is True
    assert {tuple(check) for check in found["checks"]} == {("name", "level", "message")}
    assert {check["name"] for check in found["checks"]} >= {"keys", "database", "smtp", "disk"}


def test_people_read_a_line_for_each_check(cli: Cli, context: Context) -> None:
    lines = cli("doctor").ok().stdout.splitlines()
    assert any(line.startswith("ok      database: ") for line in lines)


def test_an_error_exits_with_1(cli: Cli, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFCENTRE_SMTP_URL", "smtp://127.0.0.1:1")
    found = cli("doctor", "--json")
    assert found.code == 1
    assert found.json["ok"] is False


def test_settings_that_can_not_be_used_are_a_check_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTRE_LISTEN", "nowhere")
    found = cli("doctor", "--json")
    assert found.code == 1
    (check,) = found.json["checks"]
    assert (check["name"], check["level"]) == ("settings", "error")
    assert "listen" in check["message"]
