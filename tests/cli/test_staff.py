"""prefcentre staff, and the first admin's link of prefcentre init."""

from pathlib import Path

import pytest

from tests.conftest import run_here


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFCENTRE_HOME", str(tmp_path / "new"))


def test_the_first_link_is_printed_once() -> None:
    first = run_here("init", "--json").ok().json
    assert "/admin/welcome/" in first["admin_link"]
    assert run_here("init", "--json").ok().json["admin_link"] is None


def test_a_colleague_comes_and_goes() -> None:
    run_here("init").ok()
    made = run_here("staff", "invite", "Zoe@X.example", "--role", "author", "--json").ok().json
    assert made["state"] == "invited"
    assert "/admin/welcome/" in made["link"]
    again = run_here("staff", "link", "zoe@x.example", "--forget-factors", "--json").ok().json
    assert again["link"] != made["link"]
    assert run_here("staff", "disable", "zoe@x.example", "--json").ok().json["state"] == "disabled"
    found = run_here("staff", "list", "--json").ok().json["accounts"]
    assert ("zoe@x.example", "author") in {(one["email"], one["role"]) for one in found}


def test_an_unknown_address_is_told() -> None:
    run_here("init").ok()
    answer = run_here("staff", "disable", "nobody@x.example")
    assert answer.code != 0
    assert "staff list" in answer.stderr
