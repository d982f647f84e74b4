"""A person with something in every table, and ways to look for them in all of a database and its files."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from prefcentre.answers import service as answers
from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent import service as consent
from prefcentre.consent.models import Channel, ConsentAction, Topic
from prefcentre.contact.models import ContactKind, ContactRequest
from prefcentre.context import Context
from prefcentre.delivery.models import Delivery, DeliveryState, LeftOutPeople
from prefcentre.feedback.models import FeedbackEvent, InboundMessage, InboundState
from prefcentre.feedback.rules import BounceReason, FeedbackKind
from prefcentre.lookup import LookupKind
from prefcentre.notices.models import Notice, NoticeAbout, NoticePerson
from prefcentre.preferences.models import Frequency, Preference, TrackingChoice, UndoToken
from prefcentre.reasons import Reason
from prefcentre.rights.models import (
    CameBy,
    DataLink,
    OwnAct,
    RightsKind,
    RightsRequest,
)
from prefcentre.rights.providers import PROVIDERS
from prefcentre.rights.rules import plain
from prefcentre.servicemail.models import QueuedMail, ServiceMailKind
from prefcentre.signups.models import (
    Confirmation,
    ConfirmationKind,
    MailRequest,
    PageRequest,
    PageRequestKind,
)
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.models import (
    ImportChange,
    ImportPart,
    ImportRun,
    ImportState,
    Subscriber,
)
from prefcentre.suppression import service as suppression
from prefcentre.surveys.models import Survey, SurveyState
from prefcentre.testing.makers import make_person, make_topic
from prefcentre.tracking.models import TRACKING_METADATA, HitClass, TrackingEvent, TrackingKind

EMAIL = "Wanda.Unverkennbar@Example.org"
NAME = "Wanda Unverkennbar"
PHONE = "+359888123456"
STREET = "77 Einzigweg, 1000 Sofia"
TRACES = ("wanda", "unverkennbar", "359888123456", "einzigweg", "rubinrot")
"""Letters that stand nowhere but in what is held about her."""

# What is only in a table once somebody is gone.
AFTERWARDS = frozenset({"erasure"})


@dataclass
class Somebody:
    """Who she is in the database."""

    id: int
    public_id: int
    ref: bytes
    keys: list[bytes]
    topic: int
    campaign: int


def seed(context: Context) -> Somebody:
    """Give one person something in every table that can hold something about people."""
    with context.db.writing() as session:
        topic = make_topic(session, context, "product-news", channels=["email", "phone", "post"])
        # Two more, so that not everything that is there is hers.
        make_person(session, context, "ada@example.org", "Ada Lovelace")
        person = make_person(
            session,
            context,
            EMAIL,
            NAME,
            phone=PHONE,
            postal_address=STREET,
            timezone="Europe/Sofia",
            attributes={"colour": "rubinrot", "orders": 3},
        )
        make_person(session, context, "ben@example.org", "Ben")
        _consents(session, context, person, topic)
        campaign = _campaign(session, context, person, topic)
        _small_things(session, context, person)
        _requests(session, context, person)
        _imports(session, context, person)
        found = Somebody(
            person.id or 0,
            person.public_id,
            person.consent_ref,
            subscribers.keys_of(session, person.id or 0),
            topic.id or 0,
            campaign,
        )
        _returns(session, context, found)
        _answers(session, context, found)
    with context.db.tracking() as tracking:
        for kind, link in ((TrackingKind.OPEN, None), (TrackingKind.CLICK, 1)):
            tracking.add(
                TrackingEvent(
                    campaign_id=found.campaign,
                    delivery_id=2,
                    kind=kind,
                    link=link,
                    at=context.clock.now(),
                    sign="plain",
                    hit_class=HitClass.HUMAN,
                    reason="plain",
                    ip="203.0.113.0",
                    user_agent="Rubinrot/7 (Wanda)",
                )
            )
    _files(context.settings.data_dir)
    return found


def _consents(session: Session, context: Context, person: Subscriber, topic: Topic) -> None:
    consent.record(
        session,
        context,
        [
            consent.Act(
                subscriber_id=person.id or 0,
                subscriber_ref=person.consent_ref,
                topic_id=topic.id or 0,
                channel=channel,
                action=ConsentAction.GRANTED,
                method="preference_page",
                source="preference page",
                at=context.clock.now(),
                wording_id=consent.current_wording(session, topic.id or 0, "en").id,
                actor="staff:77777777",
                ip="203.0.113.77",
                user_agent="Rubinrot/7 (Wanda)",
                evidence={"form": "Wanda Unverkennbar, signed"},
            )
            for channel in (Channel.EMAIL, Channel.PHONE)
        ],
    )


def _campaign(session: Session, context: Context, person: Subscriber, topic: Topic) -> int:
    now = context.clock.now()
    campaign = Campaign(
        slug="spring",
        name="Spring",
        topic_id=topic.id or 0,
        state=CampaignState.FINISHED,
        created_at=now,
        finished_at=now,
    )
    later = Campaign(slug="summer", name="Summer", topic_id=topic.id or 0, created_at=now)
    session.add_all([campaign, later])
    session.flush()
    key = context.lookup.newest(LookupKind.EMAIL, EMAIL.lower())
    for place, number, state in (
        (campaign, 2, DeliveryState.FAILED),
        (later, 1, DeliveryState.DEFERRED),
    ):
        session.add(
            Delivery(
                campaign_id=place.id or 0,
                id=number,
                subscriber_id=person.id or 0,
                key=key,
                state=state,
                smtp_code=550,
                smtp_text=f"5.1.1 <{EMAIL}> unknown",
                at=now,
            )
        )
    session.add(
        LeftOutPeople(
            campaign_id=later.id or 0,
            reason=Reason.PAUSED,
            after=0,
            people=2,
            subscriber_ids=f"1,{person.id}",
        )
    )
    return campaign.id or 0


def _answers(session: Session, context: Context, found: Somebody) -> None:
    now = context.clock.now()
    asked = {"id": 1, "kind": "text", "text": "Which colour?", "choices": []}
    survey = Survey(
        topic_id=found.topic,
        title="Colours",
        questions=[asked],
        state=SurveyState.OPEN,
        created_at=now,
    )
    session.add(survey)
    session.flush()
    answers.keep(
        session, (found.id, survey.id or 0, found.topic), 1, {"1": "Rubinrot, says Wanda"}, now
    )


def _returns(session: Session, context: Context, found: Somebody) -> None:
    now = context.clock.now()
    session.add_all(
        [
            FeedbackEvent(
                source="smtp",
                foreign_id="77",
                kind=FeedbackKind.BOUNCE,
                campaign_id=found.campaign,
                delivery_id=2,
                subscriber_id=found.id,
                key=found.keys[0],
                reason=next(iter(BounceReason)),
                text=f"<{EMAIL}>: unknown",
                words={"to": EMAIL},
                at=now,
                arrived_at=now,
            ),
            InboundMessage(
                digest=b"i" * 32,
                arrived_at=now,
                source="test",
                kind=FeedbackKind.BOUNCE,
                state=InboundState.DONE,
                raw=zlib.compress(f"To: {EMAIL}".encode()),
                note="Wanda again",
                subscriber_id=found.id,
            ),
        ]
    )


def _small_things(session: Session, context: Context, person: Subscriber) -> None:
    now, number = context.clock.now(), person.id or 0
    soon = now + timedelta(days=1)
    key = context.lookup.newest(LookupKind.EMAIL, EMAIL.lower())
    notice = Notice(about=NoticeAbout.POLICY, holds_from=now.date(), created_at=now, changed_at=now)
    session.add(notice)
    session.flush()
    session.add_all(
        [
            Preference(
                subscriber_id=number,
                frequency=Frequency.MONTHLY,
                paused_until=soon,
                track_opens=TrackingChoice.YES,
                updated_at=now,
            ),
            UndoToken(token_hash=b"u" * 32, subscriber_id=number, before={"a": 1}, expires_at=soon),
            OwnAct(subscriber_id=number, day=now.date()),
            NoticePerson(notice_id=notice.id or 0, subscriber_id=number, channels=["email"]),
            Confirmation(
                kind=ConfirmationKind.ADDRESS_CHANGE,
                subscriber_id=number,
                payload={"email": EMAIL},
                created_at=now,
                expires_at=soon,
            ),
            QueuedMail(
                key="links:77",
                kind=ServiceMailKind.LINKS,
                subscriber_id=number,
                email=EMAIL,
                language="en",
                parts={"link": "https://news.example.com/p/77"},
                created_at=now,
                not_before=soon,
            ),
            PageRequest(
                kind=PageRequestKind.LINK,
                payload={"email": EMAIL},
                language="en",
                at=now,
                not_before=soon,
            ),
            MailRequest(address_key=key, mailbox_key=key, network="203.0.113.0/24", at=now),
            DataLink(token_hash=b"d" * 32, subscriber_id=number, made_at=now, expires_at=soon),
        ]
    )
    suppression.suppress(
        session,
        context,
        email=EMAIL,
        scope="sms",
        reason=Reason.OBJECTION,
        source="test",
        note="Wanda called",
    )


def _requests(session: Session, context: Context, person: Subscriber) -> None:
    now = context.clock.now()
    session.add_all(
        [
            ContactRequest(
                kind=ContactKind.QUESTION,
                name=NAME,
                email=EMAIL.lower(),
                phone=PHONE,
                message="Wanda asks",
                came_from="203.0.113.0/24",
                created_at=now,
                due_at=now,
            ),
            RightsRequest(
                kind=RightsKind.ACCESS,
                came_by=CameBy.LETTER,
                subscriber_id=person.id,
                name=NAME,
                email=EMAIL,
                message="Wanda writes",
                received_at=now,
                due_at=now,
                note="Wanda was called",
                identity="Wanda's signature",
            ),
        ]
    )
    audit.append(
        session,
        context,
        AuditAction.EDITED,
        actor="staff:1",
        subscriber_id=person.id,
        note="Wanda called",
        details={"what": "Einzigweg"},
    )
    # About nobody in particular, and her address stands in it all the same.
    session.flush()
    audit.append(
        session, context, AuditAction.IMPORTED, actor="staff:1", details={"first line": EMAIL}
    )


def _imports(session: Session, context: Context, person: Subscriber) -> None:
    now = context.clock.now()
    run = ImportRun(
        file_name="people.csv",
        fingerprint="f" * 64,
        state=ImportState.DONE,
        outlook={"example": [EMAIL, NAME]},
        started_at=now,
        finished_at=now,
    )
    session.add(run)
    session.flush()
    session.add_all(
        [
            ImportPart(
                run_id=run.id or 0,
                number=1,
                first_subscriber=person.id,
                last_subscriber=person.id,
            ),
            ImportChange(
                run_id=run.id or 0,
                subscriber_id=person.id or 0,
                changes={"first_name": ["Wanda", "Wanda"]},
            ),
        ]
    )
    session.flush()


def _files(folder: Path) -> None:
    for name, text in (
        (
            "rejects/people.csv",
            f'line,reason,email,name\n2,twice,{EMAIL},"Wanda\nUnverkennbar"\n3,bad,x,Ben\n',
        ),
        ("imports/abc/people.csv", f"email;name\n{EMAIL.upper()};{NAME}\nada@example.org;Ada\n"),
        ("imports/abc/notes.xml", f"<a>{EMAIL}</a>"),
        (
            "exports/audience-news-post.csv",
            f'name,postal_address\n{NAME},"{STREET}"\nBen,"2 Way"\n',
        ),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# --- looking for her ------------------------------------------------------------------------------------------------


def tables() -> Iterator[sa.Table]:
    """Every table of both databases."""
    yield from SQLModel.metadata.tables.values()
    yield from TRACKING_METADATA.tables.values()


def answered_for() -> set[str]:
    """The tables for which another package answers."""
    return {name for provider in PROVIDERS for name in provider.tables}


def rows_about(context: Context, somebody: Somebody) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row in which her number, a hash, her address or her name stands; looked for cell by cell."""
    for table in tables():
        in_tracking = table.metadata is TRACKING_METADATA
        with context.db.tracking() if in_tracking else context.db.reading() as session:
            for row in session.execute(sa.select(table)).mappings():
                if _is_about(table.name, dict(row), somebody):
                    yield table.name, dict(row)


def _is_about(table: str, row: dict[str, Any], somebody: Somebody) -> bool:
    if table == "subscriber":
        return bool(row["id"] == somebody.id)
    if row.get("subscriber_id") == somebody.id:
        return True
    if row.get("first_subscriber") == somebody.id or row.get("delivery_id") == 2:
        return True
    hashes = {*somebody.keys, somebody.ref}
    for name, value in row.items():
        if isinstance(value, bytes) and value in hashes:
            return True
        if name == "subscriber_ids" and str(somebody.id) in value.split(","):
            return True
        text: str = str(value).lower()
        if str(somebody.public_id) in text or any(trace in text for trace in TRACES):
            return True
    return False


def leaves(value: Any) -> Iterator[Any]:
    """Every single value of a nested one."""
    if isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def told_leaves(row: dict[str, Any]) -> set[Any]:
    """The values of a row, as they are told."""
    return {one for one in leaves(plain(row)) if one is not None}


def files_with_traces(folder: Path) -> dict[str, list[str]]:
    """Every file below a folder that has letters of hers in its bytes, in any case of them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes().lower()
            traces = [trace for trace in TRACES if trace.encode() in content]
            if traces:
                found[str(path.relative_to(folder))] = traces
    return found
