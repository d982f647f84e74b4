"""Append what a file brings with a handful of statements: a file apart, because ``service`` tells the story of one act."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlmodel import Session

from prefcentre.consent import chain, heads, queries, rules
from prefcentre.consent.chain import ChainKeys, Event, Personal
from prefcentre.consent.models import Channel, ConsentAction, LawfulBasis
from prefcentre.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all consents of one file have in common."""

    topic_id: int
    channel: Channel
    lawful_basis: LawfulBasis
    method: str
    source: str
    months: int | None = None
    """How long a consent that is implied by this basis stands (R94)."""


class Imported(NamedTuple):
    """Whose consent a file brings, since when (as ``chain.time_text`` writes it), and the evidence."""

    subscriber_id: int
    subscriber_ref: bytes
    at: str
    personal: Personal


def append(
    session: Session, context: Context, keys: ChainKeys, terms: Terms, people: Sequence[Imported]
) -> range:
    """See ``service.record_imported``."""
    seq, digest = queries.locked_head(session, chain.GENESIS)
    first = _first(context, keys, terms, seq + 1, digest)
    ids, refs, times, personals = zip(*people, strict=True)
    personal = dict(zip(Personal._fields, zip(*personals, strict=True), strict=True))
    personal["personal_digest"] = personal.pop("digest")
    ends = _ends(terms, times)
    hashes = keys.seal_alike(
        first, zip(refs, times, ends, personal["personal_digest"], strict=True)
    )
    numbers = range(first.seq, first.seq + len(people))
    events = {name: [value] * len(people) for name, value in first._asdict().items()}
    queries.append_events(
        session,
        {
            **events,
            **personal,
            "seq": numbers,
            "subscriber_ref": refs,
            "at": times,
            "valid_until": ends,
            "prev_hash": [digest, *hashes[:-1]],
            "hash": hashes,
        },
    )
    consents: dict[str, Sequence[Any]] = {
        "subscriber_id": ids,
        "since": times,
        "valid_until": ends,
        "event_seq": numbers,
    }
    shared = {name: events[name] for name in ("topic_id", "channel", "state", "lawful_basis")}
    queries.add_consents(session, consents | shared)
    queries.move_head(session, numbers[-1], hashes[-1])
    heads.note_after_commit(session, context.settings.data_dir, numbers[-1], hashes[-1])
    return numbers


def _ends(terms: Terms, times: Sequence[str]) -> list[str | None]:
    if terms.months is None or terms.lawful_basis is LawfulBasis.CONSENT:
        return [None] * len(times)
    return [_end(at, terms.months) for at in times]


@lru_cache(maxsize=4096)
def _end(at: str, months: int) -> str:
    begun = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return chain.time_text(rules.months_after(begun, months))


def _first(context: Context, keys: ChainKeys, terms: Terms, seq: int, before: bytes) -> Event:
    return Event(
        seq=seq,
        subscriber_ref=b"",
        topic_id=terms.topic_id,
        channel=terms.channel.value,
        action=ConsentAction.IMPORTED.value,
        state=rules.after(None, ConsentAction.IMPORTED).value,
        lawful_basis=terms.lawful_basis.value,
        controller=context.settings.controller_name,
        wording_id=None,
        method=terms.method,
        source=terms.source,
        at="",
        recorded_at=chain.time_text(context.clock.now()),
        valid_until=None,
        actor=None,
        ip=None,
        user_agent=None,
        evidence=None,
        salt=None,
        personal_digest=chain.NOTHING_PERSONAL,
        hash_version=keys.version,
        prev_hash=before,
    )
