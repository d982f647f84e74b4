"""Scripts and style sheets of the desk: read once, named by what is in them, kept by browsers for ever."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from prefcentre.context import Context
from prefcentre.errors import NotFound
from prefcentre.web.admin.gates import open_to_all

_FOR_EVER = "public, max-age=31536000, immutable"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
_FOLDERS = ("admin", "vendor")


@dataclass(frozen=True, slots=True)
class File:
    """One file as it goes out; ``version`` names its content."""

    packed: bytes
    content_type: str
    version: str

    @property
    def plain(self) -> bytes:
        """What it says, for the few who can't unpack it."""
        return gzip.decompress(self.packed)


def declare(pages: Blueprint, _: Context) -> None:
    """Serve the files, and nothing that was not there at the start."""

    @pages.get("/static/<version>/<folder>/<name>")
    @open_to_all
    def static(version: str, folder: str, name: str) -> ResponseReturnValue:  # noqa: ARG001 - the version only keeps old copies apart.
        found = all_files().get(f"{folder}/{name}")
        if found is None:
            raise NotFound
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        if request.accept_encodings["gzip"]:
            headers["Content-Encoding"] = "gzip"
            return Response(found.packed, content_type=found.content_type, headers=headers)
        return Response(found.plain, content_type=found.content_type, headers=headers)


def asset(path: str) -> str:
    """The address of a file by folder and name, such as ``vendor/htmx.min.js``."""
    folder, _, name = path.partition("/")
    return url_for("admin.static", version=all_files()[path].version, folder=folder, name=name)


@lru_cache
def all_files() -> dict[str, File]:
    """Every file there is, by folder and name."""
    root = files("prefcentre.web").joinpath("static")
    found = {}
    for folder in _FOLDERS:
        for entry in root.joinpath(folder).iterdir():
            if entry.name.rpartition(".")[2] in _TYPES:
                found[f"{folder}/{entry.name}"] = _read(entry)
    return found


def _read(entry: Traversable) -> File:
    content = entry.read_bytes()
    version = hashlib.sha256(content).hexdigest()[:12]
    # The same octets at every start: no time in them.
    packed = gzip.compress(content, 6, mtime=0)
    return File(packed, _TYPES[entry.name.rpartition(".")[2]], version)
