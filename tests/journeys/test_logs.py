"""Nothing that is logged, on good days and bad ones, names a person or shows an address or a token."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from prefcentre.testing import RecordingSmtpServer
from prefcentre.testing.behaviour import Fault, Stage
from tests import wire
from tests.installation import Installation, eventually, one_click, request

# Whatever is about a person carries one of these; no word of ours does.
PEOPLE = [
    f"{who}.Kanarek{number}@kanarek-{domain}.example,Kanarienvogel{number},yes"
    for number, (who, domain) in enumerate(
        [("ada", "good"), ("ben", "gone"), ("cleo", "later"), ("dan", "link"), ("eve", "good")] * 4
    )
]
FIRST_NAME = "Kanarienvogel"
CANARIES = ("kanarek", "kanarienvogel", "канарейка")


def misbehave(smtpd: RecordingSmtpServer) -> None:
    """Refuse in the ways of large providers, with names and addresses in the words."""
    smtpd.faults += [
        Fault(
            Stage.RCPT,
            b'550 5.1.1 <kanarek@kanarek-gone.example>: "Ada Kanarienvogel" <kanarek@x.example> unknown\r\n',
            who="kanarek-gone",
        ),
        Fault(
            Stage.RCPT,
            b"450 4.2.1 kanarek%40kanarek-later.example is busy\r\n",
            who="kanarek-later",
            times=2,
        ),
        Fault(
            Stage.DATA, b"421 4.3.2 closing on kanarek@kanarek-link.example\r\n", who="kanarek-link"
        ),
        Fault(Stage.BANNER, b"554 5.3.2 not for kanarek@kanarek-good.example\r\n", times=2),
    ]


def lines(text: str) -> list[dict[str, Any]]:
    """Each line as the JSON object that it has to be, without any canary in it."""
    written = [line for line in text.splitlines() if line]
    assert not [line for line in written for canary in CANARIES if canary in line.lower()]
    return [json.loads(line) for line in written]


@contextmanager
def broken(site: Installation, when: str) -> Iterator[None]:
    """While this lasts, a statement fails, and the database says why in words that nobody else should read."""
    why = f"refused: kanarek@kanarek-good.example DETAIL: Failing row contains ({FIRST_NAME}, 1)."
    with closing(sqlite3.connect(site.home / "var" / "prefcentre.db", timeout=30)) as database:
        database.execute(
            f"CREATE TRIGGER broken BEFORE {when} BEGIN SELECT RAISE(ABORT, '{why}'); END"
        )
        yield
        database.execute("DROP TRIGGER broken")


def bring_in(site: Installation) -> str:
    path = site.home / "people.csv"
    path.write_text("\n".join(["email,first_name,tracking", *PEOPLE, f"kanarek@,{FIRST_NAME},"]))
    grant = ["--topic", "product-news", "--channel", "email", "--basis", "consent"]
    options = [*grant, "--source", "Fair", "--json"]
    said = site.run("subscribers", "import", path, *options, apart=True).ok().stderr
    # What columns become is said to whoever gave the command; what is logged stands in lines of its own.
    columns = re.compile(r"^(?:Columns:|  ).*$", re.MULTILINE)
    return columns.sub("", said)


def ask_badly(site: Installation, link: str) -> None:
    token = link.rpartition("/")[2]
    address = b"kanarek@kanarek-good.example"
    for status, path, method, body in (
        (404, f"/u/{token}x", "GET", None),
        (404, "/c/kanarek@kanarek-good.example/0", "GET", None),
        (400, f"/u/{token}", "POST", address + b"=\xff&&&"),
        (409, f"/u/{token}", "POST", b"undo=" + address),
        (405, "/?kanarek@kanarek-good.example", "PUT", address),
        (413, f"/u/{token}", "POST", address * 10_000),
    ):
        reply = request(f"{site.public_url}{path}", method, body)
        assert reply.status == status, (path, reply)


def test_logs_tell_everything_by_numbers(site: Installation, smtpd: RecordingSmtpServer) -> None:
    told = [bring_in(site)]
    site.write_campaign("spring", subject="News for {{ subscriber.first_name }}")
    misbehave(smtpd)
    site.serve("run")
    with broken(site, "UPDATE ON delivery WHEN NEW.state = 'handing_off'"):
        told.append(site.run("campaigns", "start", "spring", "--json", apart=True).ok().stderr)
        eventually(lambda: "gate_failed" in site.said(), seconds=60)
    smtpd.wait_for(2)
    first, second = (wire.read(mail, site.public_url).unsubscribe for mail in smtpd.messages[:2])
    assert one_click(first).status == 200
    ask_badly(site, first)
    with broken(site, "INSERT ON suppression"):
        assert one_click(second).status == 500
        words = ("suppressions", "add", "kanarek@kanarek-good.example")
        crashed = site.run(*words, apart=True)
        assert crashed.code == 1
        told.append(crashed.stderr)
    eventually(lambda: "link_lost" in site.said(), seconds=60)
    for process in site.processes:
        site.stop(process)
    found = lines(site.said()) + lines("\n".join(told))
    assert {line["event"] for line in found} >= {
        "crashed",
        "gate_failed",
        "link_lost",
        "mail_server_unavailable",
        "request_crashed",
        "worker_started",
        "worker_stopped",
    }
    everything = json.dumps(found)
    assert not [link for link in (first, second) if link.rpartition("/")[2] in everything]
    assert all({"timestamp", "level", "process", "pid"} <= line.keys() for line in found)
    (failed,) = (line for line in found if line["event"] == "request_crashed")
    assert (failed["process"], failed["route"]) == ("web", "/u/<text>")
    assert failed["exception"][0]["type"].endswith("IntegrityError")
