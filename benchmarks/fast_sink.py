"""A mail server that throws everything away, several times as fast as Debian's smtp-sink.

``python -m benchmarks.fast_sink PORT COUNTER_FILE [LOG]``: how many messages came stands in the first file, as 8 bytes.
The second one gets a line for each at the end: when its last byte was read, by the clock that all processes share, and
for whom it was. It shows what a sender could do where smtp-sink is the limit. It understands what well-behaved senders
say and nothing else.
"""

import asyncio
import mmap
import signal
import struct
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

_GREETING = b"220 fast-sink ESMTP\r\n"
_OFFER = (
    b"250-fast-sink\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    b"250 ENHANCEDSTATUSCODES\r\n"
)
_END = b"\r\n.\r\n"
_DONE = b"250 2.0.0 Ok\r\n"
_REPLIES = {b"EHLO": _OFFER, b"DATA": b"354 Go on\r\n", b"QUIT": b"221 2.0.0 Bye\r\n"}
_COUNT = struct.Struct("<Q")


class Conversation(asyncio.Protocol):
    """One connection: commands until DATA, then everything up to the lone dot."""

    def __init__(self, counter: mmap.mmap, came: list[tuple[float, bytes]] | None) -> None:
        self._counter = counter
        self._came = came
        self._recipient = b""
        self._buffer = bytearray()
        self._in_data = False
        self._searched = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        replies: list[bytes] = []
        while self._take_data(replies) if self._in_data else self._take_command(replies):
            pass
        if replies:
            self._transport.write(b"".join(replies))
            if replies[-1] is _REPLIES[b"QUIT"]:
                self._transport.close()

    def _take_command(self, replies: list[bytes]) -> bool:
        line, found, _ = self._buffer.partition(b"\n")
        if not found:
            return False
        del self._buffer[: len(line) + 1]
        word = bytes(line[:4]).upper()
        if word == b"RCPT":
            self._recipient = bytes(line).partition(b"<")[2].partition(b">")[0]
        replies.append(_REPLIES.get(word, _DONE))
        self._in_data, self._searched = word == b"DATA", 0
        return True

    def _take_data(self, replies: list[bytes]) -> bool:
        end = self._buffer.find(_END, self._searched)
        if end < 0:
            self._searched = max(len(self._buffer) - len(_END) + 1, 0)
            return False
        del self._buffer[: end + len(_END)]
        self._in_data = False
        replies.append(_DONE)
        if self._came is not None:
            self._came.append((time.monotonic(), self._recipient))
        _COUNT.pack_into(self._counter, 0, _COUNT.unpack_from(self._counter)[0] + 1)
        return True


def read_count(path: Path) -> int:
    """How many messages came so far."""
    data = path.read_bytes()
    return int(_COUNT.unpack(data)[0]) if len(data) == _COUNT.size else 0


def _shared_counter(path: Path) -> mmap.mmap:
    path.write_bytes(bytes(_COUNT.size))
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _COUNT.size)


async def serve(port: int, path: Path, log: Path | None) -> None:
    """Take messages until SIGTERM."""
    counter = _shared_counter(path)
    came: list[tuple[float, bytes]] | None = [] if log else None
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.create_server(lambda: Conversation(counter, came), "127.0.0.1", port, backlog=1024)
    await stop.wait()
    if log and came is not None:
        _write_log(log, came)


def _write_log(log: Path, came: list[tuple[float, bytes]]) -> None:
    log.write_text("".join(f"{at} {recipient.decode()}\n" for at, recipient in came))


def read_log(log: Path) -> list[tuple[float, str]]:
    """When each message came, and for whom, once the server has ended."""
    lines = (line.split() for line in log.read_text().splitlines())
    return [(float(at), recipient) for at, recipient in lines]


if __name__ == "__main__":
    paths = [Path(argument) for argument in sys.argv[2:]]
    uvloop.run(serve(int(sys.argv[1]), paths[0], paths[1] if len(paths) > 1 else None))
