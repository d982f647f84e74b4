"""The process beside an import: that it brings the same, says what is wrong, and never outlives the import."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, Unavailable
from prefcentre.imports import columns, csvfile, judging, reader, reading
from prefcentre.imports import service as imports
from prefcentre.imports.judging import Judge
from prefcentre.imports.reader import Task
from prefcentre.imports.service import ImportOptions
from prefcentre.lookup import LookupKeys
from prefcentre.subscribers import service as subscribers
from prefcentre.testing.makers import Cast
from tests.imports.test_kill import start, write_people

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TEXT = (
    "email,phone,name,tracking,consented_at,consent_ip,status,attributes,city\n"
    'eve@example.org,+359 2 1234567,Eve,yes,2024-03-31T14:00+02:00,203.0.113.9,,"{""age"": [1, null, 2.5, 1e999]}",Sofia\n'
    "fay@example.org,,Fay,,,,cleaned,,\n"
    ",+359 2 7654321,,maybe,,,,,\n"
    "nobody,,,,,,,,\n"
    "too,few\n"
)


@pytest.fixture(autouse=True)
def every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SMALL", 0)


def task(path: Path, chunk: int = 2, skip: int = 0) -> Task:
    sheet = csvfile.open_sheet(path)
    found = columns.settle(sheet.header, {})
    lookup = LookupKeys(["the newest lookup key", "an older lookup key"])
    judge = Judge(found, frozenset(), lookup, NOW, {"file": path.name, "run": 7})
    return Task(sheet, skip, chunk, judge)


def without_chance(prepared: judging.Prepared) -> judging.Prepared:
    for item in prepared.items:
        item.person.identity = None
        if item.personal is not None:
            item.personal = item.personal._replace(salt=None, digest=b"")
    return prepared


def alive(pid: int) -> bool:
    # A process that has ended and whom nobody asked yet how is not alive.
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(") ")[2][0] != "Z"


def until(condition: Iterator[bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if next(condition):
            return True
        time.sleep(0.02)
    return False


def test_the_process_beside_finds_what_is_found_here(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(TEXT)
    for skip in (0, 3):
        with reading.chunks(task(path, skip=skip)) as parts:
            beside = [without_chance(part) for part in parts]
        assert beside == [without_chance(part) for part in reader.chunks(task(path, skip=skip))]
    assert [part.count for part in beside] == [2]


@pytest.mark.parametrize(
    "value", ["[1, null, 2.5, true]", '{"é": "\\ud83d\\ude00"}', "1e999", '"\\u007f\\u0001"']
)
def test_attributes_are_stored_alike_by_one_process_and_by_two(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    stored = []
    for number, small in enumerate((0, 2_000_000)):
        monkeypatch.setattr(reading, "SMALL", small)
        path = tmp_path / f"{number}.csv"
        cell = f'{{"a": {value}}}'.replace('"', '""')
        path.write_text(f'email,attributes,city\np{number}@example.org,"{cell}",Sofia\n')
        imports.import_file(context, path, ImportOptions())
        with context.db.reading() as session:
            person = subscribers.find(session, context, f"p{number}@example.org")
            assert person is not None
            stored.append(dict(person.attributes))
    assert stored[0] == stored[1]
    assert stored[0]["city"] == "Sofia"


def test_each_line_brings_an_identity_and_a_salt_of_its_own(tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv", 500)
    with reading.chunks(task(path, chunk=100)) as parts:
        items = [item for part in parts for item in part.items]
    assert len({item.person.identity for item in items}) == len(items)
    assert len({item.personal and item.personal.salt for item in items}) == len(items)


def test_an_import_by_two_processes_brings_what_one_process_brings(
    context: Context, cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_people(tmp_path / "people.csv", 3_000)
    options = ImportOptions(topic="product-news", channel="email", basis="consent", source="Fair")
    two = imports.import_file(context, path, options)
    rehearsed = imports.import_file(context, path, replace(options, dry_run=True))
    monkeypatch.setattr(reading, "SMALL", 2_000_000)
    assert rehearsed == replace(
        imports.import_file(context, path, replace(options, dry_run=True)),
        rows_per_second=rehearsed.rows_per_second,
    )
    assert (two.counts.added, two.counts.refused) == (2_898, 4)
    assert two.counts.granted == two.counts.added
    with context.db.reading() as session:
        assert consents.verify(session, context).ok


def test_what_is_wrong_with_the_file_is_told_in_words(tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv", 10)
    wanted = task(path)
    path.unlink()
    with (
        pytest.raises(InvalidInput, match=r"people\.csv can't be read: No such file"),
        reading.chunks(wanted) as parts,
    ):
        list(parts)


def test_a_file_that_changes_under_the_import_is_told_in_words(tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv", 10)
    wanted = task(path)
    path.write_bytes(path.read_bytes() + b"caf\xe9@example.org,,,,\n")
    with (
        pytest.raises(InvalidInput, match="was changed while it was read"),
        reading.chunks(wanted) as parts,
    ):
        list(parts)


def test_a_killed_reader_is_told_in_words_and_nothing_is_lost(
    context: Context, cast: Cast, tmp_path: Path
) -> None:
    path = write_people(tmp_path / "people.csv", 20_000)

    # The tests have processes of their own, which others of them need.
    before = children(os.getpid())

    def kill_the_reader(_done: int, _size: int) -> None:
        for pid in children(os.getpid()) - before:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(Unavailable, match=r"ended too early \(signal 9\)"):
        imports.import_file(context, path, ImportOptions(), kill_the_reader)
    result = imports.import_file(context, path, ImportOptions())
    assert result.resumed
    assert result.counts.read == 20_000


def test_the_reader_ends_when_the_import_is_done_with_it(tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv", 20_000)
    before = children(os.getpid())
    with reading.chunks(task(path)) as parts:
        next(parts)
        (reader_pid,) = children(os.getpid()) - before
        assert alive(reader_pid)
    assert not alive(reader_pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_reader_ends_when_the_import_is_killed(
    context: Context, cast: Cast, tmp_path: Path, how: signal.Signals
) -> None:
    path = write_people(tmp_path / "people.csv", 200_000)
    process = start(path)
    found: set[int] = set()

    def has_a_reader() -> Iterator[bool]:
        while True:
            found.update(children(process.pid))
            yield bool(found)

    assert until(has_a_reader())
    process.send_signal(how)
    process.communicate()
    (reader_pid,) = found
    assert until(not alive(reader_pid) for _ in iter(int, 1))


def test_the_keys_are_not_on_the_command_line_of_the_reader(tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv", 20_000)
    before = children(os.getpid())
    with reading.chunks(task(path)) as parts:
        next(parts)
        (reader_pid,) = children(os.getpid()) - before
        told = (
            Path(f"/proc/{reader_pid}/cmdline").read_bytes()
            + Path(f"/proc/{reader_pid}/environ").read_bytes()
        )
    assert b"reader" in told
    assert b"lookup key" not in told


def test_the_reader_loads_no_tables() -> None:
    code = f"import sys, {reader.__name__}; print('sqlalchemy' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def children(pid: int) -> set[int]:
    return {int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
