import os
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from prefcentre.campaigns.models import Campaign
from prefcentre.consent import service as consent
from prefcentre.consent.models import Channel, ConsentAction, ConsentState
from prefcentre.contact import service as contact
from prefcentre.contact.service import Form
from prefcentre.context import Context
from prefcentre.delivery.models import Delivery, DeliveryState
from prefcentre.feedback.models import InboundMessage, InboundState
from prefcentre.feedback.rules import FeedbackKind
from prefcentre.jobs import Clockwork
from prefcentre.rights import retention
from prefcentre.rights import service as rights
from prefcentre.rights.models import RetentionRun
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.models import Subscriber
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent, make_person, make_topic
from prefcentre.tracking.models import HitClass, TrackingEvent, TrackingKind
from prefcentre.tracking.rules import VERSION
from tests.conftest import Cli

YEARS_3 = timedelta(days=1095)


def found_by(context: Context) -> dict[str, int]:
    return {one.rule.name: one.found for one in rights.plan_retention(context) if one.found}


def removed_by(context: Context) -> dict[str, int]:
    return {one.rule.name: one.removed for one in rights.run_retention(context) if one.removed}


def people(context: Context) -> list[str]:
    with context.db.reading() as session:
        return sorted(str(one.email) for one in session.exec(select(Subscriber)))


def imported(session: Session, context: Context, name: str) -> Subscriber:
    """Somebody whom a file brought, with its consent: no act of theirs."""
    person = make_person(session, context, f"{name}@example.org", name)
    topic = consent.topic(session, "product-news")
    act = consent.Act(
        subscriber_id=person.id or 0,
        subscriber_ref=person.consent_ref,
        topic_id=topic.id or 0,
        channel=Channel.EMAIL,
        action=ConsentAction.IMPORTED,
        method="import",
        source="fair",
        at=context.clock.now(),
    )
    consent.record(session, context, [act])
    return person


def hit(
    context: Context,
    delivery: int,
    kind: TrackingKind,
    who: HitClass,
    *,
    link: int | None = None,
    rules: int | None = VERSION,
) -> None:
    with context.db.tracking() as tracking:
        tracking.add(
            TrackingEvent(
                campaign_id=1,
                delivery_id=delivery,
                kind=kind,
                at=context.clock.now(),
                sign="plain",
                hit_class=who,
                reason="plain",
                link=link,
                rules=rules,
                ip="203.0.113.0",
                user_agent="Mail/1",
            )
        )


def test_prospects_go_after_three_years_and_an_open_keeps_nobody(
    context: Context, clock: FrozenClock
) -> None:
    """R143: opens of people and machines do not count, and a person's own click does."""
    names = ("idle", "opens", "clicks", "scanned", "chooses", "restricted")
    with context.db.writing() as session:
        topic = make_topic(session, context)
        session.add(
            Campaign(id=1, slug="a", topic_id=topic.id or 0, created_at=context.clock.now())
        )
        session.flush()
        for number, name in enumerate(names, 1):
            person = imported(session, context, name)
            person.restricted = name == "restricted"
            session.add(
                Delivery(
                    campaign_id=1,
                    id=number,
                    subscriber_id=person.id or 0,
                    key=bytes([number]) * 16,
                    state=DeliveryState.ACCEPTED,
                )
            )
    clock.advance(days=400)
    hit(context, 2, TrackingKind.OPEN, HitClass.HUMAN)
    hit(context, 3, TrackingKind.CLICK, HitClass.HUMAN)
    hit(context, 4, TrackingKind.CLICK, HitClass.SCANNER)
    # Each looks like a person until it is held against the other (R169).
    for link in (1, 2):
        hit(context, 1, TrackingKind.CLICK, HitClass.HUMAN, link=link, rules=None)
    with context.db.writing() as session:
        chooser = subscribers.find(session, context, "chooses@example.org")
        assert chooser is not None
        news = consent.topic(session, "product-news")
        make_consent(session, context, chooser, news, state=ConsentState.WITHDRAWN)
    # The hits themselves are forgotten long before; the day stays.
    rights.run_retention(context)
    clock.advance(days=1095 - 400 + 1)
    assert found_by(context)["prospects"] == 3
    assert removed_by(context)["prospects"] == 3
    assert people(context) == [
        "chooses@example.org",
        "clicks@example.org",
        "restricted@example.org",
    ]
    with context.db.reading() as session:
        assert consent.verify(session, context).ok


def test_who_never_confirmed_goes_after_two_weeks(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    clock.advance(days=13)
    assert "unconfirmed" not in found_by(context)
    clock.advance(days=2)
    assert removed_by(context)["unconfirmed"] == 1
    assert "ben@example.org" not in people(context)
    assert len(people(context)) == 3
    # They asked for nothing, so a file may bring them.
    with context.db.writing() as session:
        make_person(session, context, "ben@example.org", "Ben")
    assert cast.ben.id


def test_details_of_hits_go_after_thirty_days_and_the_hits_stay(
    context: Context, clock: FrozenClock
) -> None:
    hit(context, 1, TrackingKind.OPEN, HitClass.HUMAN)
    clock.advance(days=29)
    hit(context, 2, TrackingKind.OPEN, HitClass.HUMAN)
    clock.advance(days=2)
    assert found_by(context) == {"tracking_detail": 1}
    rights.run_retention(context)
    with context.db.tracking() as tracking:
        rows = tracking.execute(sa.select(TrackingEvent).order_by("id")).scalars().all()
        assert [(one.ip, one.user_agent) for one in rows] == [
            (None, None),
            ("203.0.113.0", "Mail/1"),
        ]


def test_mails_that_came_back_lose_their_text_after_thirty_days(
    context: Context, clock: FrozenClock
) -> None:
    with context.db.writing() as session:
        session.add(
            InboundMessage(
                digest=b"i" * 32,
                arrived_at=clock.now(),
                source="test",
                kind=FeedbackKind.BOUNCE,
                state=InboundState.DONE,
                raw=b"To: ada@example.org",
            )
        )
    clock.advance(days=31)
    assert found_by(context) == {"feedback": 1}
    assert removed_by(context) == {"feedback": 1}
    with context.db.reading() as session:
        assert session.exec(select(InboundMessage)).one().raw is None


def test_files_of_people_go(context: Context, clock: FrozenClock) -> None:
    folder = context.settings.data_dir
    for name, age in (("rejects/old.csv", 31), ("rejects/new.csv", 1), ("exports/old.csv", 8)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("email\nada@example.org\n")
        then = (clock.now() - timedelta(days=age)).timestamp()
        os.utime(path, (then, then))
    assert found_by(context) == {"rejects": 1, "exports": 1}
    rights.run_retention(context)
    assert [path.name for path in sorted(folder.glob("*/*.csv"))] == ["new.csv"]


def test_what_was_written_on_the_contact_form_is_emptied_a_year_after_its_answer(
    context: Context, clock: FrozenClock
) -> None:
    form = Form("question", "Ada", "ada@example.org", "", "Hello")
    with context.db.writing() as session:
        contact.take_in(session, context, form, ip=None, language="en")
        contact.close(session, context, 1, note="Answered Ada.", actor="staff:1")
    clock.advance(days=366)
    assert found_by(context) == {"contact": 1}
    rights.run_retention(context)
    with context.db.reading() as session:
        (one,) = contact.requests(session, closed_too=True)
        assert (one.name, one.email, one.message, one.note) == ("", None, "", "")
    assert found_by(context) == {}


def test_evidence_of_a_consent_that_ended_goes_three_years_later_and_the_ledger_verifies(
    context: Context, clock: FrozenClock
) -> None:
    with context.db.writing() as session:
        topic = make_topic(session, context)
        for email, ends in (("ada@example.org", True), ("cleo@example.org", False)):
            person = make_person(session, context, email, "Somebody")
            for action in [ConsentAction.GRANTED, *([ConsentAction.WITHDRAWN] if ends else [])]:
                act = consent.Act(
                    subscriber_id=person.id or 0,
                    subscriber_ref=person.consent_ref,
                    topic_id=topic.id or 0,
                    channel=Channel.EMAIL,
                    action=action,
                    method="preference_page",
                    source="test",
                    at=context.clock.now(),
                    ip="203.0.113.1",
                )
                consent.record(session, context, [act])
    clock.advance(days=1094)
    assert "consent_details" not in found_by(context)
    clock.advance(days=2)
    assert found_by(context)["consent_details"] == 2
    rights.run_retention(context)
    with context.db.reading() as session:
        assert consent.verify(session, context).ok


def test_a_dry_run_removes_nothing_and_a_run_is_written_down(
    context: Context, cast: Cast, clock: FrozenClock, cli: Cli
) -> None:
    clock.advance(days=20)
    before = people(context)
    assert found_by(context) == {"unconfirmed": 1}
    assert people(context) == before
    rights.run_retention(context)
    with context.db.reading() as session:
        run = session.exec(select(RetentionRun).where(RetentionRun.rule == "unconfirmed")).one()
        assert (run.found, run.removed) == (1, 1)
        assert not rights.retention_is_due(session, context)
    clock.advance(days=1)
    with context.db.reading() as session:
        assert rights.retention_is_due(session, context)
    names = {one["rule"] for one in cli("retention", "plan", "--json").ok().json["rules"]}
    assert {"prospects", "audit", "sessions", "feedback"} <= names
    assert cli("retention", "log", "--json").ok().json["runs"]
    assert cast.ben.id


def test_a_worker_does_it_once_a_day_and_only_the_one_with_the_lease(
    context: Context, cast: Cast, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(days=20)
    clockwork = Clockwork(context, worker=None)  # type: ignore[arg-type]
    clockwork._keep_no_longer()
    assert "ben@example.org" in people(context)
    clockwork._epoch = 1
    clockwork._keep_no_longer()
    assert "ben@example.org" not in people(context)
    monkeypatch.setattr(retention, "run", None)
    clockwork._keep_no_longer()
    assert cast.ben.id


def test_a_period_of_nothing_keeps_for_ever(context: Context) -> None:
    settings = context.settings.model_copy(
        update={"retention": context.settings.retention.model_copy(update={"audit": 0})}
    )
    assert {rule.name: rule.days for rule in rights.rules_of(settings)}["audit"] is None
