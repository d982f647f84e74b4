"""What people install is complete: the wheel works away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Answer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        str(folder),
    ]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site")
    return folder / "site"


def run(site: Path, home: Path, *arguments: str) -> Answer:
    done = subprocess.run(
        [sys.executable, "-m", "prefcentre", *arguments],
        # An installed package comes before what an editable install put on the path.
        env=os.environ | {"PYTHONPATH": str(site), "PREFCENTRE_HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "path",
    [
        "prefcentre/py.typed",
        "prefcentre/web/static/public.css",
        "prefcentre/demo/static/demo.css",
        "prefcentre/demo/topics.toml",
        "prefcentre/demo/templates/demo/overview.html",
        "prefcentre/migrations/main/versions/0001_the_first_tables.py",
    ],
)
def test_it_has_what_is_not_code_too(unpacked: Path, path: str) -> None:
    assert (unpacked / path).is_file()


def test_nothing_of_the_workshop_is_in_it(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"prefcentre"}


def test_it_makes_an_installation_and_brings_the_examples(unpacked: Path, tmp_path: Path) -> None:
    assert run(unpacked, tmp_path, "init", "--json").ok().json["database"] == "created"
    topics = unpacked / "prefcentre" / "demo" / "topics.toml"
    run(unpacked, tmp_path, "topics", "apply", str(topics)).ok()
    found = run(unpacked, tmp_path, "campaigns", "check", "spring-release", "--json").json
    assert found["slug"] == "spring-release"
    assert not (tmp_path / "campaigns").exists()
