"""Installations for journeys, on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefcentre.testing import RecordingSmtpServer
from tests.installation import Installation, installation


@pytest.fixture
def site(tmp_path: Path, smtpd: RecordingSmtpServer) -> Iterator[Installation]:
    """An installation on SQLite with two topics."""
    with installation(tmp_path / "site", smtpd.url, in_process=True) as site:
        site.set_up()
        yield site


@pytest.fixture
def pg_site(
    tmp_path: Path, smtpd: RecordingSmtpServer, postgres_url: str
) -> Iterator[Installation]:
    """The same on PostgreSQL."""
    with installation(tmp_path / "site", smtpd.url, postgres_url, in_process=True) as site:
        site.set_up()
        yield site


@pytest.fixture(params=["sqlite", "postgresql"])
def any_site(request: pytest.FixtureRequest) -> Installation:
    """``site`` and then ``pg_site``."""
    name = "site" if request.param == "sqlite" else "pg_site"
    found: Installation = request.getfixturevalue(name)
    return found
