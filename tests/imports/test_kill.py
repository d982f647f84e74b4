"""An import that is killed at any moment, and how much memory it needs; the program runs in processes of its own."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.db import Database
from prefcentre.settings import Settings
from prefcentre.testing.makers import Cast

CONSENT = [
    "--topic",
    "product-news",
    "--channel",
    "email",
    "--basis",
    "consent",
    "--source",
    "Fair",
]
ROWS = 12_000
EVERY_BROKEN = 997


def write_people(path: Path, rows: int) -> Path:
    with path.open("w") as file:
        file.write("email,name,city,plan,tracking\n")
        for number in range(rows):
            email = (
                "broken" if number % EVERY_BROKEN == 0 else f"p{number % (rows - 100)}@example.org"
            )
            file.write(
                f"{email},Name {number},City {number % 7},plan {number % 3},{'yes' if number % 2 else ''}\n"
            )
    return path


def start(path: Path, **environment: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "prefcentre",
        "subscribers",
        "import",
        str(path),
        *CONSENT,
        "--json",
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | environment,
    )


def position(context: Context) -> int:
    with context.db.reading() as session:
        found = session.execute(sa.text("SELECT max(position) FROM import_run")).scalar_one()
    return int(found or 0)


def killed_after(context: Context, path: Path, target: int) -> bool:
    """Whether the process was still at work when it was killed, some chunks after ``target`` records."""
    process = start(path)
    while position(context) < target and process.poll() is None:
        time.sleep(random.random() / 100)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def content(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All that an import leaves behind, without what is drawn at random."""
    statements = {
        "people": "SELECT id, email, name, attributes FROM subscriber ORDER BY id",
        "keys": "SELECT kind, key, subscriber_id FROM subscriber_key ORDER BY key",
        "consents": "SELECT subscriber_id, topic_id, channel, state FROM consent ORDER BY 1, 2, 3",
        "events": "SELECT seq, topic_id, action, method, source FROM consent_event ORDER BY seq",
        "preferences": "SELECT subscriber_id, track_opens, track_clicks FROM preference ORDER BY 1",
    }
    with db.reading() as session:
        return {
            name: [tuple(row) for row in session.execute(sa.text(text))]
            for name, text in statements.items()
        }


def counts(answer: dict[str, Any]) -> dict[str, Any]:
    names = (
        "read",
        "added",
        "updated",
        "unchanged",
        "refused",
        "granted",
        "not_granted",
        "set_aside",
    )
    return {name: answer[name] for name in names}


def finish(path: Path, **environment: str) -> dict[str, Any]:
    process = start(path, **environment)
    stdout, _ = process.communicate()
    assert process.returncode == 0
    answer: dict[str, Any] = json.loads(stdout)
    return answer


@pytest.mark.parametrize(
    ("kills", "rows"),
    [
        pytest.param(3, ROWS, id="a few"),
        pytest.param(25, ROWS, id="many", marks=pytest.mark.full),
        # So large that a process beside reads it.
        pytest.param(5, 60_000, id="two processes", marks=pytest.mark.full),
    ],
)
def test_killed_at_random_points_it_ends_like_an_unbroken_run(
    context: Context, cast: Cast, tmp_path: Path, kills: int, rows: int
) -> None:
    people = write_people(tmp_path / "people.csv", rows)
    # The same installation once more, with the same keys, in which nobody is killed.
    shutil.copytree(context.settings.data_dir, tmp_path / "unbroken")
    url = f"sqlite:///{tmp_path}/unbroken/prefcentre.db"
    unbroken = finish(people, PREFCENTRE_DATABASE_URL=url)

    targets = sorted(random.choices(range(rows - 3_000), k=kills))
    assert [killed_after(context, people, target) for target in targets] == [True] * kills
    broken = finish(people)

    assert broken["resumed"]
    assert counts(broken) == counts(unbroken)
    assert broken["refused"] == rows // EVERY_BROKEN + 1
    lines = [Path(answer["rejects_file"]).read_text() for answer in (broken, unbroken)]
    assert lines[0] == lines[1]
    other = Database(Settings(database_url=url))
    assert content(context.db) == content(other)
    other.close()
    with context.db.reading() as session:
        assert consents.verify(session, context).ok


def peak_kib(pid: int) -> int:
    """The most memory that a process had so far; nothing once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) if found else 0


def peak_mib(path: Path) -> int:
    """How much an import took at most, with the process beside it."""
    process, peaks = start(path), dict[int, int]()
    while process.poll() is None:
        try:
            beside = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        except OSError:
            beside = []
        for pid in (process.pid, *map(int, beside)):
            peaks[pid] = max(peaks.get(pid, 0), peak_kib(pid))
        time.sleep(0.02)
    process.communicate()
    assert process.returncode == 0
    assert len(peaks) == 2
    return sum(peaks.values()) // 1024


@pytest.mark.full
def test_memory_does_not_grow_with_the_file(context: Context, cast: Cast, tmp_path: Path) -> None:
    # Both are read by a process beside; the page cache of SQLite is full after the first.
    peaks = [peak_mib(write_people(tmp_path / f"{rows}.csv", rows)) for rows in (60_000, 240_000)]
    assert peaks[1] < 200
    assert peaks[1] - peaks[0] < 20
