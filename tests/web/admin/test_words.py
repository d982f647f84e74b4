"""What the desk calls things that tables and protocols know by short names."""

from types import SimpleNamespace
from typing import Any

import pytest

from prefcentre.context import Context
from prefcentre.delivery.service import Obstacle, Waiting
from prefcentre.preferences.service import Frequency
from prefcentre.reasons import Reason
from prefcentre.testing.makers import Cast
from prefcentre.web.admin.actors import names
from prefcentre.web.admin.outcomes import LEFT_OUT
from prefcentre.web.admin.words import browser, how_often, limit_of, place, why_it_waits
from tests.delivery.conftest import start

NEWS: Any = SimpleNamespace(key="news", name="Product news")


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("all", "everywhere"),
        ("email", "by email"),
        ("domain", "the whole domain"),
        ("news:email", "Product news by email"),
        ("gone:sms", "gone by sms"),
    ],
)
def test_where_an_entry_forbids_is_said_in_words(scope: str, said: str) -> None:
    assert place(scope, [NEWS]) == said


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
            "Firefox on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) Version/17.6 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/130.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.6 Safari/605.1.15",
            "Safari on Mac",
        ),
        ("curl/8.5.0", ""),
        ("", ""),
    ],
)
def test_a_browser_is_called_what_people_call_it(agent: str, said: str) -> None:
    assert browser(agent) == said


def test_a_limit_is_called_by_what_it_limits() -> None:
    assert limit_of("account:main") == "The SMTP account main"
    assert limit_of("domain:example.org") == "Mail to example.org"
    assert limit_of("campaign:7") == "This campaign"


@pytest.mark.parametrize("what", [Obstacle.PAUSED, Obstacle.NO_WORKER])
def test_nobody_at_the_desk_is_told_a_command(what: Obstacle) -> None:
    assert "prefcentre" not in why_it_waits(Waiting(what, "“prefcentre run” starts some"))


def test_every_frequency_has_words() -> None:
    assert {how_often(one) for one in Frequency} == {
        "as it comes",
        "at most weekly",
        "at most monthly",
    }


def test_every_reason_has_words() -> None:
    assert LEFT_OUT.keys() == set(Reason)


def test_what_an_entry_came_by_is_called_by_its_name(context: Context, cast: Cast) -> None:
    campaign = start(context, "spring")
    with context.db.reading() as session:
        name = names(session)
        assert name(f"campaign:{campaign.id}") == f"“{campaign.name}”"
        assert name("campaign:99") == "campaign:99"
        assert name("campaign:x") == "campaign:x"
        assert name("smtp 550") == "the mail server’s answer 550"
        assert name("staff:0") == "staff:0"
        assert name(None) == ""
