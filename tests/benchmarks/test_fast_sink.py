import asyncio
import mmap
from pathlib import Path

import pytest

from benchmarks import fast_sink
from benchmarks.fast_sink import Conversation

ENVELOPE = b"MAIL FROM:<news@example.com>\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n"
BODY = b"Subject: Hello\r\n\r\n..dotted\r\n.not the end\r\nlast\r\n.\r\n"


class Heard(asyncio.Transport):
    """Keeps what the server says."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_messages_are_counted_however_they_are_cut(size: int) -> None:
    counter = mmap.mmap(-1, 8)
    came: list[tuple[float, bytes]] = []
    conversation, heard = Conversation(counter, came), Heard()
    conversation.connection_made(heard)
    talk = b"EHLO me\r\n" + 3 * (ENVELOPE + BODY) + b"QUIT\r\n"
    for start in range(0, len(talk), size):
        conversation.data_received(talk[start : start + size])
    assert int.from_bytes(counter[:8], "little") == 3
    assert [recipient for _, recipient in came] == 3 * [b"ada@example.org"]
    assert heard.said.count(b"354 ") == 3
    assert heard.said.endswith(b"221 2.0.0 Bye\r\n")
    assert heard.closed


def test_nothing_is_counted_without_its_dot() -> None:
    counter = mmap.mmap(-1, 8)
    conversation = Conversation(counter, None)
    conversation.connection_made(Heard())
    conversation.data_received(ENVELOPE + BODY.removesuffix(b".\r\n"))
    assert int.from_bytes(counter[:8], "little") == 0


def test_a_log_of_nothing_can_be_read(tmp_path: Path) -> None:
    fast_sink._write_log(tmp_path / "log", [])
    assert fast_sink.read_log(tmp_path / "log") == []
    fast_sink._write_log(tmp_path / "log", [(1.5, b"ada@example.org")])
    assert fast_sink.read_log(tmp_path / "log") == [(1.5, "ada@example.org")]
