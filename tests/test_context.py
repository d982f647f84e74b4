from datetime import UTC, datetime, timedelta

import pytest

from prefcentre.clock import SystemClock
from prefcentre.context import Context, open_context
from prefcentre.errors import SettingsError
from prefcentre.settings import Settings


def test_nothing_opens_without_keys() -> None:
    with pytest.raises(SettingsError), open_context(Settings()):
        pass


def test_links_lead_to_the_public_address(context: Context) -> None:
    assert context.links.open_base == f"{context.settings.public_url}/o/"


def test_the_machines_clock_is_aware_and_in_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
