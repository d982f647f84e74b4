"""A list for calls, texts or letters holds nobody whom the gate would refuse, and tells how the others were left out."""

import csv
import io
from typing import Any

import pytest

from prefcentre.consent import service as consents
from prefcentre.consent.service import Act, Channel, ConsentAction, ConsentState, Topic
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.exports import service
from prefcentre.exports.service import Exported
from prefcentre.preferences.models import Frequency, Preference
from prefcentre.reasons import Reason
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import make_consent, make_person, make_topic


class World:
    """A topic that is offered by phone, text message and post, and a way to have its list written."""

    def __init__(self, context: Context) -> None:
        self.context = context
        with context.db.writing() as session:
            self.offers: Topic = make_topic(
                session, context, "offers", channels=["email", "phone", "sms", "post"]
            )

    def person(
        self,
        email: str | None,
        *,
        channel: Channel = Channel.PHONE,
        state: ConsentState | None = ConsentState.GRANTED,
        **fields: Any,
    ) -> Subscriber:
        with self.context.db.writing() as session:
            found = make_person(session, self.context, email, "Ada Lovelace", **fields)
            if state is not None:
                make_consent(session, self.context, found, self.offers, channel, state=state)
        return found

    def forbid(self, email: str, scope: str, reason: Reason) -> None:
        with self.context.db.writing() as session:
            suppression.suppress(
                session, self.context, email=email, scope=scope, reason=reason, source="test"
            )

    def write(
        self, channel: Channel = Channel.PHONE, *, confirmed_only: bool = False
    ) -> tuple[Exported, list[dict[str, str]]]:
        target = io.StringIO(newline="")
        with self.context.db.reading() as session:
            done = service.audience(
                session, self.context, "offers", channel, target, confirmed_only=confirmed_only
            )
        target.seek(0)
        return done, list(csv.DictReader(target))


@pytest.fixture
def world(any_context: Context) -> World:
    return World(any_context)


def test_who_agreed_is_on_the_list_with_what_the_channel_needs(
    world: World, clock: FrozenClock
) -> None:
    world.person("ada@example.org", phone="+359 2 1234567", timezone="Europe/Sofia")
    done, (line,) = world.write()
    assert (line["phone"], line["name"], line["timezone"]) == (
        "+35921234567",
        "Ada Lovelace",
        "Europe/Sofia",
    )
    assert (line["topic"], line["channel"], line["basis"]) == ("offers", "phone", "consent")
    assert line["hours"] == "08:00-21:00"
    assert (done.people, done.exported, done.left_out) == (1, 1, {})
    assert (done.valid_until - clock.now()).total_seconds() == 24 * 3600
    assert line["valid_until"] == done.valid_until.isoformat(timespec="minutes")
    assert "email" not in line


def test_who_can_be_reached_by_post_only_is_on_the_list_for_letters(world: World) -> None:
    world.person(None, channel=Channel.POST, postal_address="12 St James's Square, London")
    _, (line,) = world.write(Channel.POST)
    assert line["postal_address"] == "12 St James's Square, London"
    assert line["hours"] == ""


def test_consent_by_one_channel_is_none_by_another(world: World) -> None:
    world.person("ada@example.org", channel=Channel.EMAIL, phone="+35921234567")
    done, lines = world.write()
    assert lines == []
    assert done.left_out == {Reason.NO_CONSENT: 1}


def test_everybody_else_is_counted_by_the_strongest_reason(world: World) -> None:
    numbers = (f"+3592123456{n}" for n in range(9))
    world.person("on@example.org", phone=next(numbers))
    world.person("never@example.org", phone=next(numbers), state=None)
    world.person("pending@example.org", phone=next(numbers), state=ConsentState.PENDING)
    world.person("left@example.org", phone=next(numbers), state=ConsentState.WITHDRAWN)
    world.person("none@example.org")
    world.person("all@example.org", phone=next(numbers))
    world.forbid("all@example.org", "all", Reason.STOP_ALL)
    world.person("objects@example.org", phone=next(numbers))
    world.forbid("objects@example.org", "phone", Reason.OBJECTION)
    world.person("topic@example.org", phone=next(numbers))
    world.forbid("topic@example.org", "offers:phone", Reason.TOPIC)
    done, lines = world.write()
    assert [line["phone"] for line in lines] == ["+35921234560"]
    assert done.left_out == {
        Reason.OBJECTION: 1,
        Reason.STOP_ALL: 1,
        Reason.TOPIC: 1,
        Reason.NO_CONSENT: 3,
        Reason.BAD_ADDRESS: 1,
    }
    assert list(done.left_out) == sorted(done.left_out, key=lambda reason: reason.rank)
    assert done.people == 8


def test_what_is_about_mails_alone_keeps_nobody_from_a_call(
    world: World, clock: FrozenClock
) -> None:
    ada = world.person("noreply@example.org", phone="+35921234567")
    world.forbid("noreply@example.org", "email", Reason.HARD_BOUNCE)
    with world.context.db.writing() as session:
        session.add(
            Preference(
                subscriber_id=ada.id or 0,
                frequency=Frequency.MONTHLY,
                paused_until=clock.now().replace(year=2099),
                updated_at=clock.now(),
            )
        )
        suppression.suppress(
            session,
            world.context,
            email=None,
            domain="example.org",
            scope="domain",
            reason=Reason.DOMAIN,
            source="test",
        )
    assert world.write()[0].exported == 1


def test_a_restricted_person_is_on_no_list(world: World) -> None:
    ada = world.person("ada@example.org", phone="+35921234567")
    with world.context.db.writing() as session:
        found = session.get(Subscriber, ada.id)
        assert found is not None
        found.restricted = True
    assert world.write()[0].left_out == {Reason.RESTRICTED: 1}


def test_an_implied_consent_that_has_run_out_counts_no_more(
    world: World, clock: FrozenClock
) -> None:
    world.person("ada@example.org", phone="+35921234567")
    with world.context.db.writing() as session:
        session.connection().exec_driver_sql(
            f"UPDATE consent SET valid_until = '{clock.now():%Y-%m-%d %H:%M:%S}+00:00'"  # noqa: S608 - a test's own text.
        )
    clock.advance(days=1)
    assert world.write()[0].left_out == {Reason.NO_CONSENT: 1}


def test_a_spreadsheet_runs_nothing_that_a_name_says(world: World) -> None:
    with world.context.db.writing() as session:
        found = make_person(session, world.context, None, "=1+1", phone="+35921234567")
        make_consent(session, world.context, found, world.offers, Channel.PHONE)
    _, (line,) = world.write()
    assert (line["name"], line["phone"]) == ("'=1+1", "+35921234567")


def test_what_can_have_no_list_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="Mails are sent as campaigns"):
        world.write(Channel.EMAIL)
    with world.context.db.writing() as session:
        make_topic(session, world.context, "letters", channels=["post"])
    target = io.StringIO()
    with world.context.db.reading() as session:
        with pytest.raises(Refused, match="it has post"):
            service.audience(session, world.context, "letters", Channel.SMS, target)
        with pytest.raises(NotFound):
            service.audience(session, world.context, "nothing", Channel.SMS, target)


def test_a_list_is_too_old_after_a_day(world: World, clock: FrozenClock) -> None:
    done, _ = world.write()
    assert not service.is_stale(done.valid_until, clock.now())
    assert service.is_stale(done.valid_until, clock.advance(hours=24))


def test_who_only_wrote_it_into_a_form_is_marked_and_can_be_left_out(world: World) -> None:
    world.person("ada@example.org", phone="+35921234567")
    with world.context.db.writing() as session:
        ben = make_person(session, world.context, None, "Ben", phone="+35921234568")
        act = Act(
            subscriber_id=ben.id or 0,
            subscriber_ref=ben.consent_ref,
            topic_id=world.offers.id or 0,
            channel=Channel.PHONE,
            action=ConsentAction.GRANTED,
            method="sign_up",
            source="sign-up page",
            at=world.context.clock.now(),
        )
        consents.record(session, world.context, [act])
    _, lines = world.write()
    assert [line["confirmed"] for line in lines] == ["yes", "no"]
    done, lines = world.write(confirmed_only=True)
    assert [line["phone"] for line in lines] == ["+35921234567"]
    assert done.left_out == {Reason.NO_CONSENT: 1}
