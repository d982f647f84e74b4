"""What the documentation says is so: its lists are those of the code, its links lead somewhere, its lines run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prefcentre.settings import Brand, Settings
from prefcentre.testing import RecordingSmtpServer
from scripts import write_reference

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("part", write_reference.PARTS)
def test_a_list_in_the_documentation_is_the_list_in_the_code(part: str) -> None:
    _, make = write_reference.PARTS[part]
    assert write_reference.written(part) == make(), "run: python scripts/write_reference.py"


def test_every_setting_is_described() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert (
            name in {"demo", "demo_inbox", "failpoint"}
            or f"`PREFCENTRE_{name.upper()}`" in page
            or f"`PREFCENTRE_{name.upper()}__" in page
        )
    for name, field in Brand.model_fields.items():
        assert field.description, name
        assert f"`PREFCENTRE_BRAND__{name.upper()}`" in page


def test_every_command_option_and_argument_is_described() -> None:
    for name, command in write_reference.leaves():
        assert (command.help or "").strip(), name
        for parameter in command.params:
            assert parameter.help or parameter.hidden or parameter.name == "help", (
                name,
                parameter.name,
            )


def test_every_page_that_people_can_open_says_what_it_is() -> None:
    assert "|  |" not in write_reference.routes()


def test_every_named_value_and_table_says_what_it_is() -> None:
    assert "|  |" not in write_reference.tables() + write_reference.values()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_promise_names_tests_that_exist() -> None:
    promises = README.partition("## What it promises")[2].partition("## ")[0]
    for promise in re.split(r"^\d\. ", promises, flags=re.MULTILINE)[1:]:
        files = re.findall(r"`(tests/[\w/]+\.py)`", promise)
        assert files, promise
        for file in files:
            assert (ROOT / file).exists(), file


def test_every_module_that_the_journey_of_a_message_names_exists() -> None:
    journey = README.partition("## How a message travels")[2].partition("## ")[0]
    for name in re.findall(r"`([a-z_/]+\.py)`", journey):
        assert (ROOT / "prefcentre" / name).exists(), name


def test_make_demo_is_the_demonstration() -> None:
    assert blocks("sh")[0] == "make demo\n"
    words = ["make", "--no-print-directory", "--dry-run", "demo"]
    plan = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert plan.splitlines()[-1] == ".venv/bin/prefcentre demo"


def test_the_quickstart_sends_mail_when_typed_as_it_stands(
    tmp_path: Path, smtpd: RecordingSmtpServer
) -> None:
    (tmp_path / "topics.toml").write_text(blocks("toml")[0])
    (tmp_path / "people.csv").write_text(blocks("csv")[0])
    typed = blocks("sh")[1].replace("127.0.0.1:25", f"127.0.0.1:{smtpd.port}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "prefcentre").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m prefcentre "$@"\n'
    )
    (tmp_path / "bin" / "prefcentre").chmod(0o755)
    done = subprocess.run(
        ["bash", "-euc", typed],
        cwd=tmp_path,
        env=os.environ
        | {"HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(smtpd.recipients) == ["ada@example.org", "ben@example.org"]
    assert (tmp_path / "news" / "secrets.toml").exists()
