"""A request to stop is heeded and closed in one step, whoever wrote it."""

import pytest

from prefcentre.consent import service as consents
from prefcentre.consent.service import Channel, ConsentState
from prefcentre.contact import service
from prefcentre.contact.service import Form
from prefcentre.contact.stopping import Stopped, close_and_stop
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, Refused
from prefcentre.reasons import Reason
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.testing.makers import Cast, make_consent, make_person, make_topic

NUMBER = "+35921234567"


@pytest.fixture
def gina(any_context: Context, any_cast: Cast) -> Subscriber:
    """Agreed to calls, texts and mails."""
    with any_context.db.writing() as session:
        calls = make_topic(session, any_context, "calls", channels=["email", "phone", "sms"])
        person = make_person(session, any_context, "gina@example.org", "Gina", phone=NUMBER)
        for channel in (Channel.PHONE, Channel.SMS, Channel.EMAIL):
            make_consent(session, any_context, person, calls, channel, state=ConsentState.GRANTED)
    return person


def heed(context: Context, phone: str, *channels: Channel, note: str = "Heeded.") -> Stopped:
    with context.db.writing() as session:
        form = Form("channels", "", "", phone, "Stop calling me.")
        assert service.take_in(session, context, form, ip=None, language="en")
        (request,) = service.requests(session)
        return close_and_stop(
            session, context, request.id or 0, channels, note=note, actor="staff:1"
        )


def test_calls_end_and_the_rest_stays(any_context: Context, gina: Subscriber) -> None:
    done = heed(any_context, "+359 2 123 45 67", Channel.PHONE)
    assert (done.withdrawn, done.request.note) == (1, "Heeded.")
    with any_context.db.reading() as session:
        views = consents.consents_of(session, gina.id or 0)
        assert {view.channel.value: view.state.value for view in views} == {
            "email": "granted",
            "phone": "withdrawn",
            "sms": "granted",
        }
        last = consents.history(session, any_context, gina)[-1]
        assert (last["action"], last["method"], last["actor"], last["source"]) == (
            "withdrawn",
            "staff",
            "staff:1",
            f"contact request {done.request.id}",
        )
        entries = suppression.entries_of(session, any_context, list(done.keys))
        assert {(one.scope, one.reason) for one in entries} == {("phone", Reason.OBJECTION)}
        assert service.requests(session) == []
        assert consents.verify(session, any_context).ok


def test_who_is_not_known_is_kept_from_coming_back(any_context: Context, any_cast: Cast) -> None:
    done = heed(any_context, "+359 2 7654321", Channel.PHONE, Channel.SMS)
    assert done.withdrawn == 0
    with any_context.db.reading() as session:
        entries = suppression.entries_of(session, any_context, list(done.keys))
    assert {one.scope for one in entries} == {"phone", "sms"}


def test_nothing_is_stopped_when_it_can_not_be_closed(
    any_context: Context, gina: Subscriber
) -> None:
    with pytest.raises(Refused, match="note"):
        heed(any_context, NUMBER, Channel.PHONE, note=" ")
    with pytest.raises(InvalidInput, match="such as phone"):
        heed(any_context, NUMBER)
    with any_context.db.reading() as session:
        views = consents.consents_of(session, gina.id or 0)
    assert {view.state for view in views} == {ConsentState.GRANTED}
