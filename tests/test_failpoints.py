import os
import signal

import pytest

from prefcentre import failpoints
from prefcentre import settings as configuration
from prefcentre.errors import SettingsError
from prefcentre.failpoints import Failpoint


def test_nothing_is_armed_unless_somebody_says_so() -> None:
    assert failpoints.parse("") == {}


def test_a_place_is_named_with_the_time_of_getting_there() -> None:
    assert failpoints.parse("gate.begins") == {Failpoint.GATE_BEGINS: 1}
    assert failpoints.parse("gate.begins:7") == {Failpoint.GATE_BEGINS: 7}


def test_a_place_that_does_not_exist_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFCENTRE_FAILPOINT", "gate.ends")
    with pytest.raises(SettingsError, match="failpoint"):
        configuration.load()


def test_the_process_dies_at_the_last_of_so_many_arrivals(monkeypatch: pytest.MonkeyPatch) -> None:
    kills: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: kills.append((pid, number)))
    failpoints.arm("gate.begins:2")
    failpoints.reach(Failpoint.GATE_BEGINS)
    failpoints.reach(Failpoint.GATE_WRITTEN)
    assert kills == []
    failpoints.reach(Failpoint.GATE_BEGINS)
    assert kills == [(os.getpid(), signal.SIGKILL)]
    failpoints.arm("")
