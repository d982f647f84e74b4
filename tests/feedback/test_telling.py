"""A rate that is bad is told by doctor and to a monitoring system."""

from prefcentre.context import Context
from prefcentre.doctor import service as doctor
from prefcentre.feedback import service as feedback
from prefcentre.monitoring.service import Monitor
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from tests.reporting.test_came_back import told


def test_a_rate_that_is_bad_is_told(context: Context, cast: Cast, clock: FrozenClock) -> None:
    assert list(doctor._reputation(context)) == []
    told(context, cast, clock)
    assert feedback.watch(context) == 0
    assert list(doctor._reputation(context)) == []
    page = Monitor(context).page("")[0].decode()
    assert 'prefcentre_complaint_ratio{sender="mail.example.com"} 0.2' in page
    assert 'prefcentre_dead_address_ratio{sender="mail.example.com"} 0.2' in page
    stricter = context.settings.reputation.model_copy(update={"least_complaints": 1})
    object.__setattr__(context.settings, "reputation", stricter)
    (check,) = doctor._reputation(context)
    assert check.message.startswith("Mails from mail.example.com: On 2 November 1 of 5 mails")
