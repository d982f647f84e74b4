"""Keeps the ends of the chain in a file beside the database, so that a ledger that was cut short is found.

Each committed append adds one line, "seq hash". A file of its own because it is neither a query nor a decision.
"""

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session

FILE_NAME = "consent-heads.log"
_WAITING = "prefcentre.consent.head"

log = structlog.get_logger(__name__)


def note_after_commit(session: Session, folder: Path, seq: int, digest: bytes) -> None:
    """Write this end of the chain to the file when, and only when, the session commits."""
    if _WAITING not in session.info:
        sa.event.listen(session, "after_commit", _write)
        sa.event.listen(session, "after_soft_rollback", _forget)
    session.info[_WAITING] = (folder / FILE_NAME, f"{seq} {digest.hex()}\n")


def read(folder: Path) -> dict[int, str]:
    """All ends that were written, by their number; a line that broke off is left out."""
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    found = {}
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            seq, _, digest = line.rstrip("\n").partition(" ")
            if seq.isdigit() and len(digest) == 64:
                found[int(seq)] = digest
    return found


def put_aside(folder: Path, after: int, name: str) -> int:
    """Move the ends after this number into a file of that name, and say how many these are; for a restored ledger."""
    path = folder / FILE_NAME
    lost = [number for number in read(folder) if number > after]
    if not lost:
        return 0
    kept: list[str] = []
    gone: list[str] = []
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            seq, _, _ = line.partition(" ")
            (gone if seq.isdigit() and int(seq) > after else kept).append(line)
    _append(folder / name, "".join(gone))
    beside = path.with_suffix(".new")
    beside.write_text("".join(kept), encoding="ascii", errors="replace")
    beside.chmod(0o600)
    beside.replace(path)
    return len(lost)


def _write(session: Any) -> None:
    # The end of a savepoint is reported too, but it is not a commit yet.
    waiting = None if session.in_nested_transaction() else session.info.get(_WAITING)
    if waiting is None:
        return
    session.info[_WAITING] = None
    path, line = waiting
    try:
        _append(path, line)
    except OSError:
        # The events are committed and must not be reported as failed; the next line covers them too.
        log.exception("consent_head_not_written", file=path.name)


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write of one short line with O_APPEND can't mix with that of another process.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def _forget(session: Any, _: SessionTransaction) -> None:
    session.info[_WAITING] = None
