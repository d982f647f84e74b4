"""The rough side of a connection: resets, half-closed lines, and a peer whose end shows though nobody reads."""

import asyncio
import os
import select
import socket
import struct

_AT_ONCE = struct.pack("ii", 1, 0)
# Linux alone tells of a peer's end behind data that nobody reads; elsewhere a write has to find out.
_HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


def reset(transport: asyncio.Transport) -> None:
    """Tear a connection down with a TCP reset; unsent data are lost."""
    with twin(transport) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


def close_own_side(transport: asyncio.Transport) -> None:
    """Send what is left and a FIN. TLS knows no half-closed connections, so there it is a whole close."""
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()


def has_hung_up(transport: asyncio.Transport) -> bool:
    """Whether the peer is gone, asked without reading."""
    with twin(transport) as sock:
        watch = select.poll()
        watch.register(sock, _HUNG_UP)
        return bool(watch.poll(0))


def read_a_byte(transport: asyncio.Transport) -> bytes:
    """A byte past asyncio's back, while its reading is paused; none when there is none."""
    with twin(transport) as sock:
        try:
            return sock.recv(1)
        except OSError:
            return b""


def twin(transport: asyncio.Transport) -> socket.socket:
    """Another handle on a connection's socket, as asyncio lends its own for looking only."""
    lent = transport.get_extra_info("socket")
    return socket.socket(fileno=os.dup(lent.fileno()))
