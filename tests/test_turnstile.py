import fcntl
import threading
import time
from pathlib import Path

import pytest

from prefcentre import turnstile
from prefcentre.turnstile import Turnstile


@pytest.fixture
def gate(tmp_path: Path) -> Turnstile:
    return Turnstile(tmp_path / "some.db")


def test_one_after_the_other(gate: Turnstile) -> None:
    inside, most = [0], [0]

    def come() -> None:
        for _ in range(50):
            with gate.turn():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    run(*[come] * 4)
    assert (inside, most) == ([0], [1])


def test_whoever_comes_back_at_once_comes_after_the_one_who_waits(gate: Turnstile) -> None:
    order: list[str] = []
    started = threading.Event()

    def greedy() -> None:
        for _ in range(20):
            with gate.turn():
                order.append("greedy")
                started.set()
                time.sleep(0.02)

    def patient() -> None:
        started.wait()
        with gate.turn():
            order.append("patient")

    run(greedy, patient)
    # However busy the machine is: not the last one, as it would be if nobody made room.
    assert order.index("patient") < 10


def test_somebody_who_stands_still_is_gone_round(
    gate: Turnstile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "PATIENCE_SECONDS", 0.05)
    with (tmp_path / "some.db-turn").open("ab") as frozen:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        with gate.turn():
            passed = True
    assert passed


def test_where_no_file_can_be_made_the_database_has_the_word(tmp_path: Path) -> None:
    with Turnstile(tmp_path / "missing" / "some.db").turn():
        passed = True
    assert passed


def test_an_error_inside_opens_it_for_the_next(gate: Turnstile) -> None:
    with pytest.raises(FileExistsError), gate.turn():
        raise FileExistsError
    with gate.turn():
        passed = True
    assert passed


def run(*steps: object) -> None:
    threads = [threading.Thread(target=step) for step in steps]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
