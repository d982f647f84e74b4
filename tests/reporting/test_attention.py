"""What needs a person."""

from dataclasses import replace
from datetime import timedelta

from prefcentre.campaigns import service as campaigns
from prefcentre.contact import service as contact
from prefcentre.contact.service import ContactKind, Form
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.models import DeliveryState
from prefcentre.feedback import service as feedback
from prefcentre.reporting import service as reporting
from prefcentre.reporting.service import Concern, Matter
from prefcentre.sections_feedback import Feedback
from prefcentre.servicemail import service as servicemail
from prefcentre.servicemail.service import ServiceMail, ServiceMailKind
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast
from prefcentre.throttles import service as throttles
from tests.delivery.conftest import start, write_campaign
from tests.reporting.conftest import put


def matters(context: Context) -> list[Matter]:
    with context.db.reading() as session:
        return reporting.matters(session, context)


def test_nothing_needs_a_person_when_nothing_is_there(any_context: Context) -> None:
    assert matters(any_context) == []


def test_a_campaign_that_should_be_sent_needs_a_sender(
    any_context: Context, any_cast: Cast
) -> None:
    start(any_context)
    assert [matter.concern for matter in matters(any_context)] == [Concern.NO_WORKER]


def test_mails_that_came_back_and_mailboxes_that_fail_need_a_person(any_context: Context) -> None:
    feedback.take_in(any_context, b"From: a@example.net\n\nwords\n", "pipe")
    box = {"name": "returns", "url": "imap://u:p@127.0.0.1:9"}
    settings = any_context.settings.model_copy(
        update={"feedback": Feedback.model_validate({"mailboxes": [box]})}
    )
    here = replace(any_context, settings=settings)
    (look,) = feedback.poll(here)
    assert look.trouble
    assert [(one.concern, one.count, one.about) for one in matters(here)] == [
        (Concern.RETURNED, 1, ""),
        (Concern.MAILBOX, 0, "returns"),
    ]


def test_a_held_campaign_says_why(any_context: Context, any_cast: Cast) -> None:
    start(any_context)
    with any_context.db.writing() as session:
        campaigns.hold(session, "spring", "overdue")
    (found,) = matters(any_context)
    assert (found.concern, found.about, found.why) == (Concern.HELD, "spring", "overdue")


def test_uncertain_mails_are_counted_by_campaign(any_context: Context, any_cast: Cast) -> None:
    campaign = start(any_context)
    put(any_context, DeliveryState.UNKNOWN, 1)
    with any_context.db.writing() as session:
        assert delivery.finish_if_done(session, any_context, campaign.id or 0)
    assert matters(any_context) == [Matter(Concern.UNKNOWN, 1, "spring", "spring")]


def test_an_account_that_stands_still_is_told(any_context: Context) -> None:
    now = any_context.clock.now()
    with any_context.db.writing() as session:
        throttles.pause(session, "account:main", throttles.UNTIL_RESUMED, "wrong password", now)
    (found,) = matters(any_context)
    assert (found.concern, found.about, found.why) == (
        Concern.STOPPED,
        "account:main",
        "wrong password",
    )


def test_a_pause_that_ends_by_itself_needs_nobody(any_context: Context) -> None:
    now = any_context.clock.now()
    with any_context.db.writing() as session:
        throttles.pause(session, "account:main", now + timedelta(minutes=10), "too fast", now)
    assert matters(any_context) == []


def test_requests_wait_with_the_day_by_which_they_are_due(any_context: Context) -> None:
    form = Form(ContactKind.QUESTION, "Ada", "ada@example.org", "", "Where do my data come from?")
    with any_context.db.writing() as session:
        assert contact.take_in(session, any_context, form, ip="192.0.2.1", language="en")
    (found,) = matters(any_context)
    assert (found.concern, found.count) == (Concern.CONTACT, 1)
    assert found.at is not None
    assert found.at > any_context.clock.now()


def test_a_new_installation_is_told_how_far_it_has_come(any_context: Context) -> None:
    with any_context.db.reading() as session:
        found = reporting.first_steps(session)
    assert not found.done
    assert not found.topics


def test_confirmations_that_do_not_go_out_are_told(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    mail = ServiceMail(
        ServiceMailKind.LINKS, "ada@example.org", "en", key="a", subscriber_id=any_cast.ada.id
    )
    with any_context.db.writing() as session:
        assert servicemail.enqueue(session, any_context, mail)
    assert matters(any_context) == []
    queued_at = clock.now()
    clock.advance(minutes=20)
    assert matters(any_context) == [Matter(Concern.SERVICE_MAIL, 1, at=queued_at)]


def test_after_a_first_campaign_nothing_is_left_to_teach(
    any_context: Context, any_cast: Cast
) -> None:
    with any_context.db.reading() as session:
        assert not reporting.first_steps(session).done
    start(any_context)
    with any_context.db.reading() as session:
        assert reporting.first_steps(session).done


def test_what_is_under_way_and_what_is_next(
    any_context: Context, any_cast: Cast, clock: FrozenClock
) -> None:
    start(any_context)
    for slug, hours in (("later", 3), ("sooner", 2)):
        write_campaign(any_context.settings.campaigns_dir, slug)
        with any_context.db.reading() as session:
            checked = delivery.check(session, any_context, slug)
        with any_context.db.writing() as session:
            at = clock.now() + timedelta(hours=hours)
            delivery.start(session, any_context, checked, at, "Europe/Sofia")
    with any_context.db.reading() as session:
        assert [one.slug for one in reporting.under_way(session)] == ["spring"]
        assert [one.slug for one in reporting.coming(session)] == ["sooner", "later"]
