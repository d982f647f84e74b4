import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prefcentre import supervisor as supervisors
from prefcentre.errors import Unavailable
from prefcentre.settings import Settings
from prefcentre.supervisor import Child, Supervisor, sender_count, senders_of, wait_for_port, web_of

PATIENCE_SECONDS = 20.0

# A child that notes each of its starts, and when it was asked to end.
NOTING = """
import os, signal, sys, time
def end(*_):
    open(sys.argv[1], "a").write("ended\\n"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
while True: time.sleep(0.05)
"""

# A supervisor of its own process, which can be killed; its child is a program of ours that watches its parent.
APART = """
import os, sys, threading
from prefcentre.supervisor import Child, Supervisor
child = [sys.executable, "-c", sys.argv[2], sys.argv[1], str(os.getpid())]
Supervisor([Child("noting", child)], lambda text: print(text, file=sys.stderr)).run()
"""
DYING_WITH_ITS_PARENT = (
    "import sys; from prefcentre.app import die_with; die_with(int(sys.argv[2]))\n" + NOTING
)


def eventually(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def lines(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    # A zombie that nobody has asked for yet is dead too.
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def supervisor(notes: Path) -> Supervisor:
    return Supervisor([Child("noting", [sys.executable, "-c", NOTING, str(notes)])], told.append)


@contextmanager
def running_apart(notes: Path, child: str, **how: int) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor in a process of its own that has started its child."""
    with subprocess.Popen([sys.executable, "-c", APART, notes, child], **how) as process:  # type: ignore[call-overload]
        try:
            eventually(lambda: lines(notes))
            yield process
        finally:
            process.kill()


told: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_was_told() -> None:
    told.clear()


def meanwhile(supervisor: Supervisor, do: Callable[[], None]) -> None:
    """Run the supervisor here, as signals need it, and ``do`` something beside it."""

    def act() -> None:
        try:
            do()
        finally:
            supervisor.stop()

    thread = threading.Thread(target=act)
    thread.start()
    supervisor.run()
    thread.join()


def test_a_child_is_started_and_asked_to_end(supervisor: Supervisor, notes: Path) -> None:
    meanwhile(supervisor, lambda: eventually(lambda: lines(notes)))
    assert len(lines(notes)) == 2
    assert lines(notes)[1] == "ended"
    assert told == []


def test_a_child_that_died_is_started_again_and_it_is_told(
    supervisor: Supervisor, notes: Path
) -> None:
    def kill_it_once() -> None:
        eventually(lambda: lines(notes))
        os.kill(int(lines(notes)[0]), signal.SIGKILL)
        eventually(lambda: len(lines(notes)) == 2)

    meanwhile(supervisor, kill_it_once)
    assert lines(notes)[0] != lines(notes)[1]
    assert told == ["The noting process ended (signal 9); it starts again in 0.5 s."]


def test_a_child_that_fails_at_once_is_given_longer_and_longer_breaks() -> None:
    supervisor = Supervisor(
        [Child("broken", [sys.executable, "-c", "raise SystemExit(3)"])], told.append
    )
    meanwhile(supervisor, lambda: eventually(lambda: len(told) == 3))
    assert told == [
        f"The broken process ended (exit code 3); it starts again in {pause} s."
        for pause in ("0.5", "1", "2")
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_children_in_an_orderly_way_and_then_us(
    number: signal.Signals, notes: Path
) -> None:
    with running_apart(notes, NOTING) as process:
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert lines(notes)[-1] == "ended"


def test_a_terminals_ctrl_c_reaches_a_child_only_through_us(notes: Path) -> None:
    with running_apart(notes, NOTING, process_group=0) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert lines(notes)[1:] == ["ended"]


def test_children_die_at_once_when_we_are_killed(notes: Path) -> None:
    with running_apart(notes, DYING_WITH_ITS_PARENT) as process:
        child = int(lines(notes)[0])
        process.kill()
    eventually(lambda: not is_alive(child))
    assert lines(notes) == [str(child)]


def test_a_child_whose_parent_is_gone_already_does_not_start(notes: Path) -> None:
    nobody = "999999999"
    command = [sys.executable, "-c", DYING_WITH_ITS_PARENT, str(notes), nobody]
    assert subprocess.run(command, check=False, timeout=PATIENCE_SECONDS).returncode == 1
    assert lines(notes) == []


def test_an_installation_is_a_web_process_and_senders_that_know_their_parent() -> None:
    found = [web_of(77), *senders_of(77, 2)]
    assert [child.name for child in found] == ["web", "worker 1", "worker 2"]
    assert [list(child.argv[-3:]) for child in found] == [
        ["web", "--parent", "77"],
        ["worker", "--parent", "77"],
        ["worker", "--parent", "77"],
    ]
    assert [child.name for child in senders_of(77, 1)] == ["worker"]


def test_a_child_takes_no_code_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "prefcentre.py").write_text("raise SystemExit(9)")
    *command, _, _ = senders_of(os.getpid(), 1)[0].argv
    done = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("cores", "url", "asked", "count"),
    [
        (1, "sqlite:///a.db", None, 1),
        (2, "sqlite:///a.db", None, 2),
        (64, "sqlite:///a.db", None, 4),
        (64, "sqlite:///a.db", 7, 7),
        (1, "sqlite:///a.db", 2, 2),
        (8, "postgresql://host/a", None, 8),
        (64, "postgresql://host/a", None, 16),
    ],
)
def test_there_is_a_sender_for_each_core_unless_somebody_knows_better(
    cores: int, url: str, asked: int | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisors, "_cores", lambda: cores)
    assert sender_count(Settings(database_url=url, processes=asked)) == count


def test_only_the_cores_that_we_may_use_count() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert sender_count(Settings()) == 1
    finally:
        os.sched_setaffinity(0, allowed)


# --- the port -------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def at(server: socket.socket) -> Settings:
    return Settings(listen=f"127.0.0.1:{server.getsockname()[1]}")


def test_a_port_that_is_taken_is_told_with_a_way_out(taken: socket.socket) -> None:
    with pytest.raises(Unavailable, match=r"already in use.*PREFCENTRE_LISTEN"):
        wait_for_port(at(taken), seconds=0.2)


def test_a_port_that_others_would_share_is_taken_all_the_same() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        with pytest.raises(Unavailable):
            wait_for_port(at(server), seconds=0)


def test_a_port_that_becomes_free_in_time_is_waited_for(taken: socket.socket) -> None:
    settings = at(taken)
    threading.Timer(0.3, taken.close).start()
    wait_for_port(settings, seconds=PATIENCE_SECONDS)


def test_a_port_with_connections_that_linger_is_free(taken: socket.socket) -> None:
    settings = at(taken)
    with socket.create_connection(taken.getsockname()) as client:
        served, _ = taken.accept()
        # Who closes first keeps the port in TIME_WAIT.
        served.close()
        client.recv(1)
    taken.close()
    wait_for_port(settings, seconds=0)


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:99999", "203.0.113.7:8000", "no.such.host.invalid:80"]
)
def test_a_place_where_nobody_can_listen_is_told(listen: str) -> None:
    with pytest.raises(Unavailable, match=f"Can't listen on {listen}"):
        wait_for_port(Settings(listen=listen), seconds=0)
