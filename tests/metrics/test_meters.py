import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from prefcentre.metrics import cells, meters
from prefcentre.metrics.cells import Shape, Sheet
from prefcentre.metrics.meters import AWAY, CONNECTIONS, GATE_GROUP, MESSAGES

COUNTED = Shape("counted")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data folder in which this process counts."""
    meters.keep_in(tmp_path)
    yield tmp_path
    meters.close()


def add(sheet: Sheet, count: float, *labels: str, shape: Shape = COUNTED) -> None:
    with sheet.lock:
        at = sheet.place(shape, labels)
        sheet.cells[at] += count
        sheet.keep(at, shape.width)


def told(data_dir: Path) -> dict[tuple[str, ...], list[float]]:
    found = meters.read(data_dir)
    return {(shape.name, *labels): values for (shape, labels), values in found.items()}


def in_another_process(data_dir: Path, words: str) -> subprocess.Popen[str]:
    program = f"""
from pathlib import Path
from prefcentre.metrics import meters
meters.keep_in(Path({str(data_dir)!r}))
{words}
print("done", flush=True)
input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    return process


def end(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    process.send_signal(number)
    process.communicate()


def test_what_one_process_counts_another_one_reads(data_dir: Path) -> None:
    MESSAGES.add(3, "accepted")
    MESSAGES.add_each({"accepted": 1, "failed": 2})
    other = in_another_process(data_dir, 'meters.MESSAGES.add(10, "accepted")')
    assert told(data_dir) == {("messages", "accepted"): [14.0], ("messages", "failed"): [2.0]}
    end(other)


def test_a_killed_process_loses_no_count_and_the_next_one_goes_on_with_its_file(
    data_dir: Path,
) -> None:
    for times in range(1, 4):
        end(in_another_process(data_dir, 'meters.MESSAGES.add(10, "accepted")'))
        assert told(data_dir)["messages", "accepted"] == [10.0 * times]
    assert len(list((data_dir / "metrics").glob("*.cells"))) == 1


def test_of_how_things_are_only_living_processes_are_heard(data_dir: Path) -> None:
    CONNECTIONS.set(2, "main")
    other = in_another_process(data_dir, 'meters.CONNECTIONS.set(5, "main")')
    assert told(data_dir)["connections", "main"] == [7.0]
    end(other)
    assert told(data_dir)["connections", "main"] == [2.0]
    # Who takes the dead one's file does not say again what it said.
    other = in_another_process(data_dir, 'meters.AWAY.set(1, "main")')
    assert told(data_dir)["connections", "main"] == [2.0]
    end(other)


def test_a_gauge_says_the_last_value(data_dir: Path) -> None:
    for value in (1, 1, 0):
        AWAY.set(value, "main")
    assert told(data_dir) == {("mail_server_away", "main"): [0.0]}


def test_a_histogram_counts_between_bounds_and_sums(data_dir: Path) -> None:
    GATE_GROUP.observe_all([1, 2, 3, 10_000])
    GATE_GROUP.observe(1)
    values = told(data_dir)["gate_group_messages",]
    assert values[:3] == [2.0, 1.0, 1.0]
    assert values[-2:] == [1.0, 10_007.0]
    assert sum(values[:-1]) == 5.0


def test_threads_count_together_without_losing_any(data_dir: Path) -> None:
    def count() -> None:
        for _ in range(2_000):
            MESSAGES.add(1, "accepted")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(data_dir)["messages", "accepted"] == [16_000.0]


def test_nothing_is_made_before_there_is_something_to_count(data_dir: Path) -> None:
    assert list(data_dir.iterdir()) == []
    assert told(data_dir) == {}


def test_nobody_else_can_read_the_files(data_dir: Path) -> None:
    MESSAGES.add(1, "accepted")
    folder = data_dir / "metrics"
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}


def test_counting_goes_on_in_memory_where_no_file_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("in the way")
    with capture_logs() as logs:
        meters.keep_in(tmp_path)
        MESSAGES.add(1, "accepted")
        MESSAGES.add(1, "accepted")
    meters.close()
    assert [line["event"] for line in logs] == ["metrics_not_kept"]


def test_a_full_disk_stops_nobody_and_the_count_is_there_when_there_is_room_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    sheet = Sheet()
    sheet.keep_in(folder)
    add(sheet, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        patch.setattr(os, "write", full)
        add(sheet, 1)
        add(sheet, 1, "named while it was full")
    add(sheet, 1)
    add(sheet, 5, "named while it was full")
    sheet.close()
    assert cells.read(folder) == {
        (COUNTED, ()): [3.0],
        (COUNTED, ("named while it was full",)): [5.0],
    }


def test_a_line_that_broke_off_spoils_nothing(folder: Path) -> None:
    sheet = Sheet()
    sheet.keep_in(folder)
    add(sheet, 1)
    sheet.close()
    with (folder / "000.names").open("a") as names:
        names.write('[65, "broken off", [')
    again = Sheet()
    again.keep_in(folder)
    add(again, 1)
    add(again, 4, "new")
    again.close()
    assert cells.read(folder) == {(COUNTED, ()): [2.0], (COUNTED, ("new",)): [4.0]}


def test_more_names_than_there_is_room_for_are_counted_nowhere(folder: Path) -> None:
    sheet = Sheet()
    sheet.keep_in(folder)
    add(sheet, 1, "first")
    for number in range(9_000):
        add(sheet, 1, str(number))
    add(sheet, 1, "first")
    sheet.close()
    found = cells.read(folder)
    assert found[COUNTED, ("first",)] == [2.0]
    assert 8_000 < len(found) < 8_192
    assert set(map(tuple, found.values())) == {(1.0,), (2.0,)}


def test_what_another_version_counted_otherwise_is_left_out(data_dir: Path) -> None:
    sheet = Sheet()
    sheet.keep_in(data_dir / "metrics")
    for shape, labels in (
        (Shape("no_such_meter"), ()),
        (Shape("gate_group_messages", (1, 2)), ()),
        (Shape("messages"), ("accepted", "one label too many")),
        (Shape("messages"), ("accepted",)),
    ):
        add(sheet, 1, *labels, shape=shape)
    sheet.close()
    assert told(data_dir) == {("messages", "accepted"): [1.0]}


def test_every_meter_has_a_name_of_its_own_in_plain_letters_and_words_for_people() -> None:
    for name, meter in meters.METERS.items():
        assert name.replace("_", "").islower()
        assert meter.text.endswith(".")
    assert len({meter.text for meter in meters.METERS.values()}) == len(meters.METERS)
