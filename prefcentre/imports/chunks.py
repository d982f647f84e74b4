"""Settles one chunk of lines in one transaction: who may come in, what is new, and which consents are granted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre import db
from prefcentre.consent import chain
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, ConsentState, Imported, LawfulBasis, Terms
from prefcentre.context import Context
from prefcentre.imports import queries, rules
from prefcentre.imports.judging import Item, Prepared, Reject
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Outcome, Person, Record, Rehearsal, Settled
from prefcentre.suppression import service as suppression

METHOD = "import"

Denied = Mapping[bytes, Sequence[tuple[str, Reason]]]


@dataclass(slots=True)
class Counts:
    """What came of the lines so far. ``read`` is the sum of ``added``, ``updated``, ``unchanged`` and ``refused``."""

    read: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    granted: int = 0
    not_granted: dict[str, int] = field(default_factory=dict)
    set_aside: dict[str, int] = field(default_factory=dict)

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(
            read=self.read + other.read,
            added=self.added + other.added,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            refused=self.refused + other.refused,
            granted=self.granted + other.granted,
            not_granted=dict(Counter(self.not_granted) + Counter(other.not_granted)),
            set_aside=dict(Counter(self.set_aside) + Counter(other.set_aside)),
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """The consent that an import's people gave, and where it comes from (R99)."""

    topic_id: int
    topic: str
    channel: Channel
    basis: LawfulBasis
    source: str
    months: int | None = None

    @property
    def terms(self) -> Terms:
        """As the ledger takes it."""
        return Terms(
            topic_id=self.topic_id,
            channel=self.channel,
            lawful_basis=self.basis,
            method=METHOD,
            source=self.source,
            months=self.months,
        )


@dataclass(slots=True)
class DryRun:
    """What a dry run would have written and later lines come back to."""

    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    granted: set[int] = field(default_factory=set)
    tracking: dict[int, rules.Answers] = field(default_factory=dict)

    def knows(self, person: Person) -> bool:
        """Whether the file has this person more than once."""
        return any(keyed.key in self.rehearsal.people for keyed in person.keys)


@dataclass(slots=True)
class Trace:
    """What a chunk wrote, as far as undoing it needs that: people, events, and what changed of people who were known."""

    added: list[int] = field(default_factory=list)
    events: range = range(0)
    changes: dict[int, dict[str, list[Any]]] = field(default_factory=dict)


class Chunk:
    """One chunk being settled in the session of its transaction.

    After ``settle``, ``stored`` are the lines with what became of them, ``without`` says for the numbers of lines why
    they grant nothing, and ``trace`` is what an undo needs.
    """

    def __init__(
        self,
        session: Session,
        context: Context,
        grant: Grant | None,
        dry: DryRun | None,
    ) -> None:
        self._session = session
        self._context = context
        self._grant = grant
        self._dry = dry
        self._now: datetime = context.clock.now()
        self._now_text = chain.time_text(self._now)
        self.stored: Sequence[_Stored] = ()
        self.without: dict[int, str] = {}
        self.trace = Trace()

    def settle(self, prepared: Prepared) -> tuple[Counts, list[Reject]]:
        """Store these people and grant what may be granted.

        1. Take the locks that opt-outs of the same people take, then ask what stands against them.
        2. Refuse who was erased; add or update the others.
        3. Keep the answers about tracking.
        4. Grant to those who were never asked and whom nothing forbids to ask.
        """
        keys = [keyed for item in prepared.items for keyed in item.person.keys]
        people = [keyed.key for keyed in keys]
        if self._dry is None:
            db.lock_keys(self._session, people, shared_names=("domains",))
        domains = {keyed.domain_key for keyed in keys if keyed.domain_key is not None}
        denied = suppression.denies(self._session, {*people, *domains}, now=self._now)
        items, rejects = _without_erased(prepared.items, denied)
        rehearsal = self._dry.rehearsal if self._dry else None
        settled = subscribers.bring_in(
            self._session, self._context, [item.person for item in items], rehearsal
        )
        rejects += [
            Reject(item.number, found.reason, item.cells)
            for item, found in zip(items, settled, strict=True)
            if found.outcome is Outcome.REFUSED
        ]
        stored = [
            (item, found, found.record)
            for item, found in zip(items, settled, strict=True)
            if found.record is not None
        ]
        self.stored = stored
        self._trace(stored)
        self._keep_tracking(stored)
        counts = Counts()
        if self._grant is not None:
            self._grant_consents(stored, denied, self._grant, counts)
        _count(counts, stored)
        counts.refused = len(rejects) + len(prepared.rejects)
        counts.read = counts.refused + len(stored)
        return counts, sorted(prepared.rejects + rejects)

    def _trace(self, stored: Sequence["_Stored"]) -> None:
        for _, found, record in stored:
            if found.outcome is Outcome.ADDED:
                self.trace.added.append(record.id)
            elif record.changes and not record.is_new:
                self.trace.changes[record.id] = record.changes

    def _keep_tracking(self, stored: Sequence["_Stored"]) -> None:
        asked = {record.id for item, _, record in stored if item.tracking is not None}
        if not asked:
            return
        known = queries.tracking_choices(self._session, asked)
        now = {**known, **(self._dry.tracking if self._dry else {})}
        changed: dict[int, rules.Answers] = {}
        for item, found, record in stored:
            if item.tracking is None:
                continue
            before = now.get(record.id, rules.NEVER_ANSWERED)
            after = rules.tracking_after(before, item.tracking)
            if after != before:
                now[record.id] = changed[record.id] = after
                _touch(found)
                if not record.is_new:
                    told = self.trace.changes.setdefault(record.id, {})
                    told["tracking"] = [
                        list(known.get(record.id, rules.NEVER_ANSWERED)),
                        list(after),
                    ]
        if self._dry is None:
            queries.set_tracking(self._session, changed, known, self._now)
        else:
            self._dry.tracking |= changed

    def _grant_consents(
        self, stored: Sequence["_Stored"], denied: Denied, grant: Grant, counts: Counts
    ) -> None:
        scopes = suppression.scopes_that_forbid(grant.topic, grant.channel)
        # Nobody who comes in with this chunk can have a consent; a dry run's new people stay new to the end.
        asked = {record.id for _, _, record in stored if self._dry or not record.is_new}
        states = self._states(asked, grant)
        granted: list[Imported] = []
        for item, found, record in stored:
            reason = rules.covering(_entries(item.person, denied), scopes) if denied else None
            number = record.id
            state = states.get(number)
            why_not = rules.why_not_granted(item.stopped, record.row, state, reason, grant.channel)
            if why_not is not None:
                counts.not_granted[why_not] = counts.not_granted.get(why_not, 0) + 1
                self.without[item.number] = why_not
            elif consent.may_import(state):
                states[number] = ConsentState.GRANTED
                granted.append(self._imported(item, record))
                _touch(found)
                if self._dry is not None and self._dry.knows(item.person):
                    self._dry.granted.add(number)
        counts.granted = len(granted)
        if self._dry is None:
            self.trace.events = consent.record_imported(
                self._session, self._context, grant.terms, granted
            )

    def _states(self, people: set[int], grant: Grant) -> dict[int, ConsentState]:
        found = consent.states_of(self._session, people)
        states = {
            person: state
            for (person, topic_id, channel), state in found.items()
            if topic_id == grant.topic_id and channel == grant.channel
        }
        if self._dry is not None:
            states |= dict.fromkeys(self._dry.granted & people, ConsentState.GRANTED)
        return states

    def _imported(self, item: Item, record: Record) -> Imported:
        assert item.personal is not None  # noqa: S101 - whoever grants has a reader that keeps evidence.
        return Imported(
            record.id, record.row["consent_ref"], item.at or self._now_text, item.personal
        )


_Stored = tuple[Item, Settled, Record]


def _entries(person: Person, denied: Denied) -> list[tuple[str, Reason]]:
    if not denied:
        return []
    found: list[tuple[str, Reason]] = []
    for keyed in person.keys:
        found += denied.get(keyed.key, ())
        if keyed.domain_key is not None:
            found += denied.get(keyed.domain_key, ())
    return found


def _without_erased(items: Sequence[Item], denied: Denied) -> tuple[list[Item], list[Reject]]:
    if not denied:
        return list(items), []
    kept, rejects = [], []
    for item in items:
        if rules.is_erased(_entries(item.person, denied)):
            # Its number finds the line in the file that was sent in; their data is not written down anew (R136).
            rejects.append(Reject(item.number, rules.ERASED, ()))
        else:
            kept.append(item)
    return kept, rejects


def _touch(found: Settled) -> None:
    if found.outcome is Outcome.UNCHANGED:
        found.outcome = Outcome.UPDATED


def _count(counts: Counts, stored: Sequence[_Stored]) -> None:
    outcomes = Counter(found.outcome for _, found, _ in stored)
    counts.added = outcomes[Outcome.ADDED]
    counts.updated = outcomes[Outcome.UPDATED]
    counts.unchanged = outcomes[Outcome.UNCHANGED]
    counts.set_aside = dict(Counter(name for item, _, _ in stored for name in item.set_aside))
