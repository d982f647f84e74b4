"""Which process is which."""

import subprocess
import sys
from dataclasses import replace

from prefcentre.processes import Identity


def test_a_process_knows_itself() -> None:
    own = Identity.own()
    assert own.is_local
    assert own.is_here
    assert own == Identity.own()


def test_a_number_that_is_used_again_is_another_process() -> None:
    assert not replace(Identity.own(), started="1").is_here


def test_a_process_that_has_ended_is_not_here() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not replace(Identity.own(), pid=ended.pid).is_here


def test_nothing_is_known_about_another_machine() -> None:
    far = replace(Identity.own(), host="elsewhere")
    assert not far.is_local
    assert not far.is_here


def test_labels_tell_processes_apart_and_fit_postgresqls_name() -> None:
    own = Identity.own()
    others = [replace(own, pid=1), replace(own, host="x"), replace(own, started="1"), own]
    assert len({process.label for process in others}) == len(others)
    assert all(len(process.label) < 64 for process in others)
