"""Where in the database something about a person can stand: one entry for each table, and what erasure does there.

Access and erasure both read this list, and a test compares it with a scan of all tables, so that a table that nobody has
named here is noticed. A file apart from ``queries``, because it is a list and its readers.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from prefcentre.answers import models as _answers
from prefcentre.audit import models as _audit
from prefcentre.campaigns.models import Campaign
from prefcentre.consent.models import ConsentWording, Topic
from prefcentre.contact import models as _contact
from prefcentre.delivery.models import DeliveryState
from prefcentre.feedback import models as _feedback
from prefcentre.notices import models as _notices
from prefcentre.preferences import models as _preferences
from prefcentre.reasons import Reason
from prefcentre.rights import models as _rights
from prefcentre.servicemail import models as _servicemail
from prefcentre.servicemail.models import ServiceMailKind
from prefcentre.signups import models as _signups
from prefcentre.subscribers.models import Subscriber
from prefcentre.suppression import models as _suppression
from prefcentre.surveys import models as _surveys
from prefcentre.tracking.models import TRACKING_METADATA

# Imported for the tables that they put into the metadata.
_MODULES = (
    _answers,
    _audit,
    _contact,
    _feedback,
    _notices,
    _preferences,
    _rights,
    _servicemail,
    _signups,
    _suppression,
    _surveys,
)


class Section(StrEnum):
    """A heading under which people are shown what is held about them."""

    PERSON = "person"  # Who they are to us.
    CHOICES = "choices"  # What they chose.
    CONSENTS = "consents"  # What they agreed to and refused, with the words they saw.
    MAILS = "mails"  # What was meant for them, and what became of it.
    READING = "reading"  # Opened mails and followed links, when they agreed to that.
    STOPS = "stops"  # What keeps us from writing to them.
    MESSAGES = "messages"  # What they wrote to us and asked for.
    ANSWERS = "answers"  # What they answered in surveys.
    RETURNS = "returns"  # What mail servers sent back.
    SOURCES = "sources"  # Where their data came from.
    STAFF = "staff"  # What staff did.
    WAITING = "waiting"  # Mails and links that are under way.
    HASHES = "hashes"  # Keyed hashes by which they are found.


@dataclass(frozen=True, slots=True)
class Whom:
    """Everything by which rows about one person can be found. ``texts`` are their address and number, in small letters."""

    subscriber_id: int
    public_id: int
    consent_ref: bytes
    keys: tuple[bytes, ...]
    texts: tuple[str, ...]


Where = Callable[[sa.Table, Whom], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Place:
    """One table: how rows about somebody are found in it, and what erasure does with them.

    With ``empty`` these columns get these values and the row stays; without it the row goes, by itself or with the
    person's own; rows that ``spares`` finds stay as they are.
    """

    table: str
    section: Section
    where: Where
    empty: Mapping[str, Any] | None = None
    goes_with_the_person: bool = False
    spares: Where | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What one table holds about a person: each row with all its columns."""

    section: Section
    table: str
    rows: tuple[Mapping[str, Any], ...] = field(default=())


# --- ways to find somebody ------------------------------------------------------------------------------------------


def _number(column: str = "subscriber_id") -> Where:
    return lambda table, whom: table.c[column] == whom.subscriber_id


def _key(column: str) -> Where:
    return lambda table, whom: table.c[column].in_(whom.keys)


def _ref(table: sa.Table, whom: Whom) -> sa.ColumnElement[bool]:
    return table.c.subscriber_ref == whom.consent_ref


def _text(*columns: str) -> Where:
    def where(table: sa.Table, whom: Whom) -> sa.ColumnElement[bool]:
        return sa.or_(sa.false(), *(mentions(table.c[name], whom.texts) for name in columns))

    return where


def _either(*ways: Where) -> Where:
    return lambda table, whom: sa.or_(*(way(table, whom) for way in ways))


def _asked(table: sa.Table, whom: Whom) -> sa.ColumnElement[bool]:
    number = sa.cast(table.c.payload, sa.String).contains(str(whom.public_id))
    return sa.or_(number, _text("payload")(table, whom))


def _left_out(table: sa.Table, whom: Whom) -> sa.ColumnElement[bool]:
    ids = sa.literal(",").concat(table.c.subscriber_ids).concat(",")
    return sa.and_(table.c.after < whom.subscriber_id, ids.contains(f",{whom.subscriber_id},"))


def _imported(table: sa.Table, whom: Whom) -> sa.ColumnElement[bool]:
    part, change = (SQLModel.metadata.tables[name] for name in ("import_part", "import_change"))
    added = sa.select(part.c.run_id).where(*_came_with(part, whom))
    changed = sa.select(change.c.run_id).where(change.c.subscriber_id == whom.subscriber_id)
    return sa.or_(table.c.id.in_(added), table.c.id.in_(changed), _text("outlook")(table, whom))


def _came_with(table: sa.Table, whom: Whom) -> list[sa.ColumnElement[bool]]:
    return [
        table.c.first_subscriber <= whom.subscriber_id,
        table.c.last_subscriber >= whom.subscriber_id,
    ]


def _about_requests(table: sa.Table, whom: Whom) -> sa.ColumnElement[bool]:
    return sa.or_(
        table.c.subscriber_id == whom.subscriber_id, _text("note", "details")(table, whom)
    )


def _tracked(_: sa.Table, __: Whom) -> sa.ColumnElement[bool]:
    return sa.false()


def last_answer(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a queued mail tells somebody that they are erased."""
    about_erasure = sa.cast(table.c.parts, sa.String).contains('"erasure"')
    return sa.and_(table.c.kind == ServiceMailKind.REQUEST_DONE, about_erasure)


def mentions(column: Any, texts: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether a text or JSON column has one of these words in it, in any case of its letters."""
    lower = sa.func.lower(sa.cast(column, sa.String))
    # JSON may hold other letters than English ones as numbers.
    wanted = {form for text in texts for form in (text, json.dumps(text)[1:-1])}
    return sa.or_(sa.false(), *(lower.contains(form, autoescape=True) for form in sorted(wanted)))


# --- the list -------------------------------------------------------------------------------------------------------

PLACES: tuple[Place, ...] = (
    Place("subscriber", Section.PERSON, _number("id"), goes_with_the_person=True),
    Place("preference", Section.CHOICES, _number(), goes_with_the_person=True),
    Place("own_act", Section.READING, _number(), goes_with_the_person=True),
    Place("undo_token", Section.CHOICES, _number(), goes_with_the_person=True),
    Place("consent", Section.CONSENTS, _number(), goes_with_the_person=True),
    Place("notice_person", Section.CONSENTS, _number(), goes_with_the_person=True),
    # The seals stay and verify without what they were made of; the texts sealed with them name nobody.
    Place(
        "consent_event",
        Section.CONSENTS,
        _ref,
        empty=dict.fromkeys(("actor", "ip", "user_agent", "evidence", "salt"), sa.null()),
    ),
    # A campaign's outcomes add up for ever; the row says no more whom it was about.
    Place("delivery", Section.MAILS, _number(), empty={"smtp_text": sa.null()}),
    Place("left_out_people", Section.MAILS, _left_out, empty={}),
    Place("suppression", Section.STOPS, _key("key"), empty={"note": "", "lift_note": sa.null()}),
    Place(
        "contact_request",
        Section.MESSAGES,
        _text("email", "phone", "message", "note"),
        empty={
            "name": "",
            "email": sa.null(),
            "phone": sa.null(),
            "message": "",
            "came_from": "",
            "note": "",
        },
    ),
    Place(
        "rights_request",
        Section.MESSAGES,
        _either(_number(), _text("email", "message", "note")),
        empty={
            "name": "",
            "email": sa.null(),
            "message": "",
            "note": "",
            "identity": "",
            "stop_reason": "",
            "extension_reason": "",
        },
    ),
    Place("import_run", Section.SOURCES, _imported, empty={}),
    Place("import_part", Section.SOURCES, lambda t, w: sa.and_(*_came_with(t, w)), empty={}),
    Place("import_change", Section.SOURCES, _number(), goes_with_the_person=True),
    Place("audit_event", Section.STAFF, _about_requests, empty={"note": "", "details": {}}),
    # What their package forgets stands in ``providers``.
    Place("feedback_event", Section.RETURNS, _number(), empty={}),
    Place("inbound_message", Section.RETURNS, _number(), empty={}),
    Place("survey_answer", Section.ANSWERS, _number(), empty={}),
    # The answer that they are erased has to go out still; the queue forgets the address with it.
    Place(
        "service_mail",
        Section.WAITING,
        _either(_number(), _text("email")),
        spares=lambda table, _: last_answer(table),
    ),
    Place("confirmation", Section.WAITING, _number(), goes_with_the_person=True),
    Place("page_request", Section.WAITING, _asked),
    Place("mail_request", Section.WAITING, _either(_key("address_key"), _key("mailbox_key"))),
    Place("data_link", Section.WAITING, _number(), goes_with_the_person=True),
    Place("subscriber_key", Section.HASHES, _number(), goes_with_the_person=True),
    Place("erasure", Section.HASHES, _number(), empty={}),
)

WITHOUT_PEOPLE: Mapping[str, str] = {
    "campaign": "what is sent, and when",
    "campaign_check": "what a look at a campaign found; people stand in it as numbers, for a while",
    "campaign_content": "what a campaign says",
    "campaign_draft": "what a campaign says while it is written",
    "campaign_figures": "numbers",
    "campaign_link": "where links lead",
    "consent_head": "the end of the chain",
    "consent_wording": "words that people are shown",
    "export_run": "how many people were on a list",
    "feedback_rate": "numbers",
    "feedback_stop": "numbers",
    "journal_mark": "a number",
    "lease": "processes",
    "mailbox_look": "when a mailbox was looked at",
    "mailbox_seen": "what a mail server calls a mail",
    "transfer_acknowledgement": "which machines outside may get data, and who answers for it",
    "leaving_reason": "why somebody left, without a name from the beginning",
    "left_out": "numbers",
    "media": "pictures for mails",
    "notice": "what changed, as everybody may read it",
    "read_mark": "a number",
    "retention_run": "numbers",
    "sender_domain": "our own domains",
    "snippet": "texts for campaigns",
    "staff_attempt": "accounts of staff",
    "staff_passkey": "accounts of staff",
    "staff_session": "accounts of staff",
    "staff_user": "accounts of staff",
    "subscriber_day": "numbers",
    "survey": "questions; who answered what stands apart",
    "throttle": "limits",
    "throttle_share": "limits",
    "throttle_state": "limits",
    "throttle_use": "limits",
    "topic": "what people can agree to",
    "tracking_campaign": "numbers",
    "tracking_hour": "numbers",
    "tracking_people": "numbers",
    "webhook_call": "marks of calls that providers made",
    "worker": "processes",
}
"""Tables that hold nothing about people, and what they hold."""

# Texts that staff or mail servers wrote, in rows that are not about the person: their address may stand there all the
# same. Sealed texts of the ledger are not among them, and name nobody.
STRAYS: Mapping[str, tuple[str, ...]] = {
    "audit_event": ("note", "details"),
    "delivery": ("smtp_text",),
    "import_run": ("options", "outlook", "progress", "problem", "counts"),
    "suppression": ("note", "lift_note"),
    "worker": ("trouble",),
}


DETAILS = ("ip", "user_agent")
"""What a hit says of whoever made it."""


# --- reading --------------------------------------------------------------------------------------------------------


def held(session: Session, whom: Whom) -> Iterator[Held]:
    """What each table holds about a person, tables without a row about them left out."""
    for place in PLACES:
        table = SQLModel.metadata.tables[place.table]
        chosen = sa.select(table).where(place.where(table, whom))
        rows = [
            dict(row) for row in session.execute(chosen.order_by(*table.primary_key)).mappings()
        ]
        if rows:
            yield Held(place.section, place.table, tuple(rows))


def tracked(tracking: Session, of_deliveries: Sequence[tuple[int, int]]) -> Iterator[Held]:
    """What the tables of opens and clicks hold about these recipients, each named by campaign and number."""
    for table in tracked_tables():
        rows: list[dict[str, Any]] = []
        for campaign_id, delivery_id in of_deliveries:
            chosen = sa.select(table).where(
                table.c.campaign_id == campaign_id, table.c.delivery_id == delivery_id
            )
            rows += [dict(row) for row in tracking.execute(chosen).mappings()]
        if rows:
            yield Held(Section.READING, table.name, tuple(rows))


def tracked_tables() -> list[sa.Table]:
    """The tables of opens and clicks that have a row for each recipient."""
    return [
        table
        for table in TRACKING_METADATA.sorted_tables
        if {"campaign_id", "delivery_id"} <= set(table.c.keys())
    ]


def names(session: Session) -> tuple[dict[int, str], dict[int, str], dict[int, str]]:
    """What numbers of topics, campaigns and wordings stand for."""
    topics = {row.id: row.name for row in session.execute(sa.select(Topic.id, Topic.name))}  # type: ignore[call-overload]
    campaigns = {
        row.id: row.name or row.slug
        for row in session.execute(sa.select(Campaign.id, Campaign.name, Campaign.slug))  # type: ignore[call-overload]
    }
    words = {
        row.id: row.text
        for row in session.execute(sa.select(ConsentWording.id, ConsentWording.text))  # type: ignore[call-overload]
    }
    return topics, campaigns, words


# --- erasing --------------------------------------------------------------------------------------------------------


def end_deliveries(session: Session, whom: Whom, now: datetime) -> None:
    """End what still waits for this person, so that no sender looks for them."""
    table = SQLModel.metadata.tables["delivery"]
    session.execute(
        sa.update(table)
        .where(
            table.c.subscriber_id == whom.subscriber_id,
            table.c.state.in_([DeliveryState.PENDING, DeliveryState.DEFERRED]),
        )
        .values(state=DeliveryState.SUPPRESSED, reason=Reason.ERASED, at=now, not_before=None)
    )


def unlink_deliveries(session: Session, subscriber_id: int) -> None:
    """Put chance in the place of the hash in rows that have ended, so that nobody can ask them about an address."""
    table = SQLModel.metadata.tables["delivery"]
    in_hand = [
        DeliveryState.PENDING,
        DeliveryState.CLAIMED,
        DeliveryState.HANDING_OFF,
        DeliveryState.DEFERRED,
    ]
    over = sa.select(table.c.campaign_id, table.c.id).where(
        table.c.subscriber_id == subscriber_id, table.c.state.not_in(in_hand)
    )
    for campaign_id, number in session.execute(over).all():
        session.execute(
            sa.update(table)
            .where(table.c.campaign_id == campaign_id, table.c.id == number)
            .values(key=secrets.token_bytes(16), smtp_text=None)
        )


def erase(session: Session, whom: Whom) -> None:
    """Empty or remove every row about a person; the person's own comes last and takes what hangs on it along."""
    for place in PLACES:
        table = SQLModel.metadata.tables[place.table]
        if place.goes_with_the_person:
            continue
        where = place.where(table, whom)
        if place.spares is not None:
            where = sa.and_(where, ~place.spares(table, whom))
        if place.empty is None:
            session.execute(sa.delete(table).where(where))
        elif place.empty:
            session.execute(sa.update(table).where(where).values(dict(place.empty)))
    people: sa.Table = Subscriber.__table__  # type: ignore[attr-defined]
    session.execute(sa.delete(people).where(people.c.id == whom.subscriber_id))


def erase_tracked(tracking: Session, of_deliveries: Sequence[tuple[int, int]]) -> None:
    """Keep of hits no more than that there were some: from where and with what they came goes."""
    for table in tracked_tables():
        nothing = dict.fromkeys([name for name in DETAILS if name in table.c], sa.null())
        for campaign_id, delivery_id in of_deliveries if nothing else ():
            tracking.execute(
                sa.update(table)
                .where(table.c.campaign_id == campaign_id, table.c.delivery_id == delivery_id)
                .values(nothing)
            )


def deliveries_of(session: Session, subscriber_id: int) -> list[tuple[int, int]]:
    """Campaign and number of everything that was meant for a person."""
    table = SQLModel.metadata.tables["delivery"]
    chosen = sa.select(table.c.campaign_id, table.c.id).where(
        table.c.subscriber_id == subscriber_id
    )
    return [(row.campaign_id, row.id) for row in session.execute(chosen)]


def stray_rows(session: Session, texts: Sequence[str]) -> list[tuple[str, tuple[Any, ...]]]:
    """Rows that are about something else and still name the person: table and primary key."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    for name, columns in STRAYS.items():
        table = SQLModel.metadata.tables[name]
        chosen = sa.select(*table.primary_key).where(
            sa.or_(sa.false(), *(mentions(table.c[column], texts) for column in columns))
        )
        found += [(name, tuple(row)) for row in session.execute(chosen)]
    return found


def clean_stray(session: Session, name: str, key: tuple[Any, ...]) -> None:
    """Empty what staff or servers wrote in one row."""
    table = SQLModel.metadata.tables[name]
    empty: dict[str, Any] = {}
    for column in STRAYS[name]:
        is_json = isinstance(table.c[column].type, sa.JSON)
        empty[column] = None if table.c[column].nullable else ({} if is_json else "")
    conditions = [column == value for column, value in zip(table.primary_key, key, strict=True)]
    session.execute(sa.update(table).where(*conditions).values(empty))
