import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from prefcentre import log
from prefcentre.errors import Unavailable

CANARIES = ("canary", "Lovelace")
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log, "_facts", {})
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, log.Forwarder)]:
        root.removeHandler(handler)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What was logged, each line read as JSON and found to be without a canary."""
    log.start_log()

    def read() -> list[dict[str, Any]]:
        said = capsys.readouterr().err
        assert not [canary for canary in CANARIES if canary in said], said
        return [json.loads(line) for line in said.splitlines()]

    return read


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 5.1.1 <canary@example.org>: unknown", "550 5.1.1 <(address)>: unknown"),
        ("canary@example.org", "(address)"),
        ("to:canary+tag@sub.example.org; gone", "to:(address); gone"),
        ('"Ada Lovelace" <canary@example.org> is full', "<(address)> is full"),
        ('"ada canary"@example.org is full', "(address) is full"),
        ("канарейка.canary@bücher.example is full", "(address) is full"),
        ("canary@[192.0.2.1] is full", "(address) is full"),
        ("canary%40example.org is full", "(address) is full"),
        ("canary＠example.org", "(address)"),
        ("bounce-canary=example.org@mail.example.com", "(address)"),
        ("no such user: canary@ example.org", "no such user: (address) example.org"),
        ("“canary@example.org” is no address", "“(address)” is no address"),
        ("421 4.7.0 try again later", "421 4.7.0 try again later"),
        ("at 10:00, 50 % done", "at 10:00, 50 % done"),
    ],
)
def test_what_looks_like_an_address_is_masked(text: str, shown: str) -> None:
    assert log.masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "duplicate key\nDETAIL:  Key (name)=(Ada Lovelace) already exists.",
        "UNIQUE constraint failed\n[SQL: INSERT …]\n[parameters: ('Ada Lovelace',)]",
        "it failed [parameters: ('Ada Lovelace', 1)] (Background on this error at: …)",
    ],
)
def test_what_a_database_repeats_of_its_rows_is_cut_off(text: str) -> None:
    assert "Lovelace" not in log.masked(text)
    assert log.masked(text) in text


def test_a_very_long_text_is_cut_and_takes_no_long_time() -> None:
    assert len(log.masked("x" * 1_000_000)) < 10_000


def raised(error: Exception) -> Exception:
    """The error, as one that has come from somewhere."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_every_value_of_a_line_is_masked_also_within_lists_and_objects(lines: Lines) -> None:
    class Person:
        def __str__(self) -> str:
            return "canary@example.org"

    structlog.get_logger().info(
        "said",
        why="<canary@example.org> unknown",
        many=["canary@example.org", {"canary@example.org": 3}],
        who=Person(),
        number=7,
        nothing=None,
        sure=True,
    )
    (line,) = lines()
    assert line["why"] == "<(address)> unknown"
    assert (line["number"], line["nothing"], line["sure"], line["level"]) == (7, None, True, "info")


def test_an_error_of_ours_is_told_in_its_words_with_the_places_in_the_code(lines: Lines) -> None:
    error = raised(Unavailable("The mail server said no to canary@example.org."))
    structlog.get_logger().error("failed", exc_info=error)
    (line,) = lines()
    (told,) = line["exception"]
    assert told["type"] == "prefcentre.errors.Unavailable"
    assert told["text"] == "The mail server said no to (address)"
    assert __file__ in told["at"][0]


def test_an_error_whose_words_may_be_a_value_is_told_without_them(lines: Lines) -> None:
    try:
        try:
            int("Ada Lovelace")
        except ValueError as error:
            raise KeyError("Lovelace") from error
    except KeyError:
        structlog.get_logger().exception("failed")
    (line,) = lines()
    assert [told["type"] for told in line["exception"]] == [
        "builtins.KeyError",
        "builtins.ValueError",
    ]
    assert not [told for told in line["exception"] if "text" in told]


def test_what_libraries_log_comes_in_the_same_form_and_without_their_objects(lines: Lines) -> None:
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved\nfuture: <Task exception=ValueError('Lovelace')>",
        exc_info=raised(ValueError("Ada Lovelace")),
    )
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("library", "asyncio")
    assert line["text"] == "Task exception was never retrieved"
    assert line["exception"][0]["type"] == "builtins.ValueError"


def test_a_crash_is_a_line_too(lines: Lines) -> None:
    error = raised(ValueError("Ada Lovelace"))
    sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=lambda: int("canary"))
    thread.start()
    thread.join()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [(line["event"], line["level"]) for line in lines()] == [("crashed", "critical")] * 2


def test_a_line_says_which_process_it_comes_from_and_what_else_is_known(lines: Lines) -> None:
    log.start_log("worker")
    log.know(worker=7)
    structlog.get_logger().info("first")
    structlog.get_logger().info("second", worker=8)
    first, second = lines()
    assert (first["process"], first["worker"], second["worker"]) == ("worker", 7, 8)
    assert first["pid"] > 0


def test_somebody_at_a_terminal_hears_of_trouble_only(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    log.start_log(quiet=True)
    structlog.get_logger().info("worker_started")
    structlog.get_logger().warning("mail_server_unavailable")
    assert [line["event"] for line in lines()] == ["mail_server_unavailable"]
