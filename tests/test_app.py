"""The processes of an installation, as an operator or a power cut meets them."""

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from prefcentre import app as composition
from prefcentre.clock import SystemClock
from prefcentre.context import Context
from prefcentre.sections_feedback import Feedback
from prefcentre.testing import Offer, RecordingSmtpServer
from tests.installation import Installation, eventually, installation, request


@pytest.fixture
def site(tmp_path: Path, smtpd: RecordingSmtpServer) -> Iterator[Installation]:
    with installation(tmp_path / "site", smtpd.url, in_process=True) as found:
        found.ask("init")
        yield found


def children(pid: int) -> list[int]:
    """The processes that a process started, as Linux lists them."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found


def all_below(pid: int) -> list[int]:
    """The processes that a process and its children started."""
    return [one for child in children(pid) for one in (child, *all_below(child))]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_an_app_serves_pages_and_no_folder_of_files(context: Context) -> None:
    app = composition.create_app(context)
    assert app.test_client().get("/healthz").status_code == 200
    assert "static" not in app.view_functions


def test_the_pages_of_the_demonstration_are_not_there_otherwise(context: Context) -> None:
    assert composition.create_app(context).test_client().get("/demo").status_code == 404


@pytest.mark.full
def test_a_request_to_end_is_obeyed_and_leaves_nobody_behind(site: Installation) -> None:
    process = site.serve()
    family = all_below(process.pid)
    assert site.stop(process) == 0
    assert len(family) == 3
    assert all(map(is_gone, family))
    assert "Traceback" not in site.said()


def test_all_end_at_once_when_the_first_is_killed_and_a_new_start_works_at_once(
    site: Installation,
) -> None:
    process = site.serve()
    family = all_below(process.pid)
    process.kill()
    process.wait()
    again = site.start("run")
    eventually(lambda: all(map(is_gone, family)))
    eventually(site._is_up)
    assert site.stop(again) == 0


def test_processes_that_died_are_started_again_and_it_is_told(site: Installation) -> None:
    process = site.serve()
    names = {
        name: pid
        for name in ("web", "worker")
        for pid in children(process.pid)
        if f" {name} " in command_of(pid)
    }
    below = [one for victim in names.values() for one in all_below(victim)]
    for victim in names.values():
        os.kill(victim, signal.SIGKILL)
    told = [f"The {name} process ended (signal 9)" for name in names]
    eventually(lambda: all(words in site.said() for words in told))
    eventually(lambda: len(children(process.pid)) == 2)
    assert all(map(is_gone, below))
    eventually(site._is_up)
    family = all_below(process.pid)
    assert site.stop(process) == 0
    assert all(map(is_gone, family))


def test_the_web_servers_own_helper_is_replaced_when_it_dies(site: Installation) -> None:
    process = site.serve("web")
    (helper,) = children(process.pid)
    os.kill(helper, signal.SIGKILL)
    eventually(lambda: any(pid != helper for pid in children(process.pid)))
    eventually(site._is_up)
    assert site.stop(process) == 0


def test_a_port_that_another_program_uses_is_told_and_exits_with_1(site: Installation) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        for command in ("run", "web"):
            assert "already in use" in site.refused(command)


@pytest.mark.full
def test_two_cannot_serve_at_one_port(site: Installation) -> None:
    process = site.serve()
    assert "PREFCENTRE_LISTEN" in site.refused("run")
    assert request(f"{site.public_url}/readyz").status == 200
    assert site.stop(process) == 0


# --- several senders ------------------------------------------------------------------------


@pytest.fixture
def several(site: Installation) -> Installation:
    """An installation with two sending processes."""
    site.more["PREFCENTRE_PROCESSES"] = "2"
    return site


def senders(pid: int) -> list[int]:
    """The sending processes below a supervisor."""
    return [child for child in children(pid) if " worker " in command_of(child)]


def test_run_keeps_as_many_senders_as_asked_for(several: Installation) -> None:
    process = several.serve()
    assert len(senders(process.pid)) == 2
    # One that has not begun has nothing to say when it ends.
    eventually(lambda: several.said().count('"worker_started"') == 2)
    family = all_below(process.pid)
    assert several.stop(process) == 0
    assert all(map(is_gone, family))
    assert several.said().count('"worker_stopped"') == 2


@pytest.mark.full
def test_a_sender_that_died_is_started_again_and_the_others_go_on(several: Installation) -> None:
    process = several.start("worker")
    eventually(lambda: several.said().count('"worker_started"') == 2)
    first, second = senders(process.pid)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: "The worker 1 process ended (signal 9)" in several.said())
    eventually(lambda: several.said().count('"worker_started"') == 3)
    assert second in senders(process.pid)
    assert several.stop(process) == 0


@pytest.mark.full
def test_all_senders_end_at_once_when_the_first_process_is_killed(several: Installation) -> None:
    process = several.start("worker", "--processes", "3")
    eventually(lambda: several.said().count('"worker_started"') == 3)
    family = all_below(process.pid)
    assert len(family) == 3
    process.kill()
    process.wait()
    eventually(lambda: all(map(is_gone, family)))


def test_mails_at_their_dot_are_ended_before_the_senders_are(tmp_path: Path) -> None:
    with (
        RecordingSmtpServer(offer=Offer(reply_delay=0.5)) as smtpd,
        installation(tmp_path / "site", smtpd.url, in_process=True) as site,
    ):
        site.set_up()
        people = [f"person{number}@example.org" for number in range(150)]
        site.add_people(*people, header="email", topic="product-news")
        site.write_campaign("spring")
        site.ask("campaigns", "start", "spring")
        process = site.start("worker", "--processes", "2")
        smtpd.wait_for(30)
        assert site.stop(process) == 0
        outcomes = {name: n for name, n in site.status("spring")["outcomes"].items() if n}
        assert outcomes.keys() == {"accepted", "pending"}
        assert outcomes["accepted"] == len(smtpd.messages)


def test_a_worker_alone_ends_when_asked(site: Installation) -> None:
    process = site.start("worker")
    eventually(lambda: "worker_started" in site.said())
    assert site.stop(process) == 0
    assert "worker_stopped" in site.said()


def test_a_sender_does_not_load_what_only_others_need() -> None:
    """Markup tools and Alembic would make every sending process a fifth larger, and every command slower."""
    others = ("alembic", "markdown_it", "lxml", "css_inline", "granian", "flask")
    code = f"import sys, prefcentre.cli.run, prefcentre.jobs; print([name for name in {others} if name in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == "[]"


def test_the_garbage_collector_leaves_a_senders_program_alone(context: Context) -> None:
    gc.unfreeze()
    # With the clock of the tests each job would be weeks behind, and APScheduler count its way to now second by second.
    composition.run_worker(replace(context, clock=SystemClock()), lambda: True)
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    assert frozen > 10_000


def test_a_mail_server_that_falls_silent_holds_up_nobodys_end(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who asked a sender to end would wait for the patience that we have with mailboxes."""
    monkeypatch.setattr("prefcentre.jobs.FETCHING_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        url = f"imap://u:p@127.0.0.1:{silent.getsockname()[1]}"
        feedback = Feedback.model_validate({"mailboxes": [{"name": "returns", "url": url}]})
        settings = context.settings.model_copy(update={"feedback": feedback})
        came: list[socket.socket] = []

        def has_come() -> bool:
            with suppress(BlockingIOError):
                came.append(silent.accept()[0])
            return bool(came)

        composition.run_worker(replace(context, settings=settings, clock=SystemClock()), has_come)
        waiting = [one for one in threading.enumerate() if one.name == "mailboxes"]
        assert [one.is_alive() for one in waiting] == [True]
        for one in came:
            one.close()
        waiting[0].join(20)
        gc.unfreeze()


def test_a_sender_takes_second_place_behind_pages() -> None:
    code = "import os; from prefcentre import app; before = os.nice(0); app.let_pages_go_first(); print(os.nice(0) - before)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(said.stdout) == 10


def test_a_senders_threads_share_one_heap() -> None:
    code = """
import ctypes, sys, tempfile, threading
from prefcentre import app
app.keep_one_heap()
kept, libc = [], ctypes.CDLL(None)
threads = [threading.Thread(target=lambda: kept.append(ctypes.create_string_buffer(5_000))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as told:
    file = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    print(told.read().count(b"<heap "))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "1"
