"""Files that a browser saves and never shows, and that nothing between us and it keeps."""

from collections.abc import Iterator
from typing import IO

from flask import Response

_BLOCK = 256 * 1024


def as_download(content: str | IO[bytes], name: str, kind: str) -> Response:
    """A text, or a file from where it stands, under this name; the file is closed when it is sent."""
    answer = Response(content if isinstance(content, str) else _blocks(content), mimetype=kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    if not isinstance(content, str):
        answer.call_on_close(content.close)
    return answer


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
