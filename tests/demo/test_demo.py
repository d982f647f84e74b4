"""The demonstration as a person meets it: one command, addresses to open, Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import run_apart
from tests.installation import eventually, free_port, request

# One demonstration for all of them, so that one process has to run them all.
pytestmark = pytest.mark.xdist_group("demo")

TRAP = {
    # What must never be touched: the settings of a real installation in the same environment.
    "PREFCENTRE_DATABASE_URL": "postgresql://real@127.0.0.1:1/real",
    "PREFCENTRE_SMTP_URL": "smtps://real.example.com",
}


@dataclass
class Demo:
    home: Path
    base: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def page(self, path: str) -> str:
        found = request(path if path.startswith("http") else self.base + path)
        assert found.status == 200, found
        return found.body


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    home, port, log = folder / "home", free_port(), folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefcentre", "demo", "--home", str(home), "--listen", f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | TRAP,
            start_new_session=True,
        )  # fmt: skip
    found = Demo(home, f"http://127.0.0.1:{port}", process, log)
    try:
        eventually(lambda: process.poll() is not None or "Ctrl-C ends it" in found.said, 120)
        assert process.poll() is None, found.said
        eventually(lambda: "spring is here" in found.page("/demo/inbox?q=ada@"), 60)
        yield found
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_every_address_that_it_prints_opens(demo: Demo) -> None:
    addresses = re.findall(r"http://\S+", demo.said)
    assert len(addresses) == 5
    for address in addresses:
        assert "<h1" in demo.page(address)


def test_the_overview_shows_both_campaigns_and_who_is_left_out(demo: Demo) -> None:
    page = demo.page("/demo")
    for words in ("spring-release", "founders-letter", "no consent", "paused", "audience", "2,000"):
        assert words in page


def test_the_figures_of_the_picture_add_up(demo: Demo) -> None:
    page = demo.page("/demo").partition("founders-letter")[0]
    table = page.partition("</table>")[0]
    numbers = [
        int(text.replace(",", "").replace("−", "-"))
        for text in re.findall(r'class="number">([−\d,]+)<', table)
    ]
    assert numbers[0] == 2000
    assert sum(numbers[:-1]) == numbers[-1]
    assert len(numbers) > 6


def test_made_up_readers_bring_the_figures_to_life(demo: Demo) -> None:
    eventually(lambda: "opens, human" in demo.page("/demo"), 60)


def test_the_inbox_is_searched_by_address_and_a_mail_is_shown_in_four_ways(demo: Demo) -> None:
    (path,) = re.findall(r'href="(/demo/inbox/\d+)"', demo.page("/demo/inbox?q=ada@example.org"))
    assert "<iframe" in demo.page(path)
    assert "Hello Ada" in demo.page(f"{path}/html")
    assert "Unsubscribe" in demo.page(f"{path}?show=text")
    assert "List-Unsubscribe-Post" in demo.page(f"{path}?show=headers")
    assert "Content-Transfer-Encoding" in demo.page(f"{path}?show=source")


def test_a_mail_is_shown_in_a_frame_that_runs_nothing_and_sends_nothing(demo: Demo) -> None:
    (path,) = re.findall(r'href="(/demo/inbox/\d+)"', demo.page("/demo/inbox?q=ada@example.org"))
    headers = request(f"{demo.base}{path}/html").headers
    policy = headers["content-security-policy"]
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in demo.page(path)


def test_the_links_of_a_mail_work(demo: Demo) -> None:
    (path,) = re.findall(r'href="(/demo/inbox/\d+)"', demo.page("/demo/inbox?q=ada@example.org"))
    text = demo.page(f"{path}?show=text")
    links = set(re.findall(rf"{demo.base}/([upw])/[\w-]+", text))
    assert links == {"u", "p", "w"}
    for link in re.findall(rf"{demo.base}/[upw]/[\w-]+", text):
        assert "<h1" in demo.page(link)


def test_nobody_who_left_got_a_mail(demo: Demo) -> None:
    for address in ("ben@example.org", "cleo@example.org", "dan@example.org"):
        assert "Nothing was sent to" in demo.page(f"/demo/inbox?q={address}")


def test_a_number_that_no_mail_has_is_a_page_that_helps(demo: Demo) -> None:
    found = request(f"{demo.base}/demo/inbox/99999999")
    assert found.status == 404
    assert "<h1" in found.body


def test_the_commands_that_it_prints_work_in_another_terminal(demo: Demo) -> None:
    found = run_apart(
        "campaigns", "report", "spring-release", "--json", PREFCENTRE_HOME=str(demo.home)
    )
    assert found.ok().json["audience"] > 1000
    assert f"export PREFCENTRE_HOME={demo.home}" in demo.said


def test_a_second_one_is_told_that_the_port_is_taken(demo: Demo, tmp_path: Path) -> None:
    listen = demo.base.removeprefix("http://")
    found = run_apart("demo", "--home", tmp_path / "other", "--listen", listen)
    assert found.code == 1
    assert "already in use" in found.stderr
    assert "--listen" in found.stderr
    assert "Traceback" not in found.stderr


def test_ctrl_c_ends_everything_cleanly(demo: Demo) -> None:
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0, demo.said
    assert "The demonstration has ended." in demo.said
    assert "Traceback" not in demo.said
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.process.pid, 0)
    assert (demo.home / "inbox.db").exists()


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch")
    found = run_apart("demo", "--home", tmp_path, "--listen", f"127.0.0.1:{free_port()}")
    assert found.code == 1
    assert "not empty" in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_can_not_be_made_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = run_apart("demo", "--home", tmp_path / "file" / "home")
    assert found.code == 1
    assert "--home" in found.stderr
    assert "Traceback" not in found.stderr
