"""What hits on one message say beside each other (R169-R171). Pure, as ``rules`` is; a file of its own for its size.

A scanner with a browser's name is known by what it does: it follows many links at once. That shows only after its
first click was written down, so all hits on a message are judged again when another one comes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prefcentre.tracking.models import HitClass, TrackingKind
from prefcentre.tracking.rules import Verdict

MOST = 500
"""So many hits on one message are looked at beside each other; nobody reads a mail more often."""

_BURST, _SPREAD = timedelta(seconds=2), timedelta(seconds=10)
_PAIR = timedelta(seconds=1)
_HEAD_FIRST = timedelta(seconds=2)
_TOO_SOON_MS = 2_000

_SWEEP = Verdict(HitClass.SCANNER, "sweep")
_HEAD = Verdict(HitClass.SCANNER, "head-first")
_PAIRED = Verdict(HitClass.HUMAN, "pair")
_TOO_SOON = Verdict(HitClass.UNKNOWN, "too-soon")
FLOOD = Verdict(HitClass.UNKNOWN, "flood")
"""What comes after ``MOST`` hits on one message; it is kept, and is nobody's."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One hit as the rules see it: ``own`` is what it says by itself, ``source`` from where and with what it came.

    ``known`` is what it was taken for, when from where it came is not known any more: what needed that stays as it was.
    """

    id: int
    kind: TrackingKind
    link: int | None
    at: datetime
    own: Verdict
    source: tuple[str | None, str | None] | None = None
    after_ms: int | None = None
    known: Verdict | None = None


def judge(hits: Sequence[Seen], links: int) -> Mapping[int, Verdict]:
    """What each hit on one message is taken for; ``links`` is how many links the message has."""
    hits = sorted(hits, key=lambda hit: (hit.at, hit.id))
    swept = _swept([hit for hit in hits if hit.link is not None], links)
    return {hit.id: _one(hit, hits, swept) for hit in hits}


def _one(hit: Seen, hits: Sequence[Seen], swept: Mapping[int, Seen]) -> Verdict:
    if hit.own.hit_class is HitClass.SCANNER:
        return hit.own
    if hit.id in swept or _looks_at_pictures(hit, swept.values()):
        return _SWEEP
    if hit.own.hit_class is not HitClass.HUMAN:
        return hit.own
    if hit.known in {_SWEEP, _HEAD} and hit.source is None:
        return hit.known
    if any(_asked_before(hit, other) for other in hits):
        return _HEAD
    if any(_are_a_pair(hit, other) for other in hits):
        return _PAIRED
    if hit.after_ms is not None and hit.after_ms < _TOO_SOON_MS:
        # Hardly anybody is so quick, and yet it is no proof (R170).
        return _TOO_SOON
    return hit.own


def _swept(hits: Sequence[Seen], links: int) -> dict[int, Seen]:
    """Hits on links that are part of a sweep, whoever made them (R169)."""
    found: dict[int, Seen] = {}
    for window, least in ((_BURST, 2), (_SPREAD, max(2, links // 2 + 1))):
        for part in _windows(hits, window):
            if len({hit.link for hit in part}) >= least:
                found |= {hit.id: hit for hit in part}
    return found


def _windows(hits: Sequence[Seen], width: timedelta) -> Iterator[Sequence[Seen]]:
    """For each hit all that came within so long after it, itself included."""
    end = shown = 0
    for begin, first in enumerate(hits):
        while end < len(hits) and hits[end].at - first.at <= width:
            end += 1
        # What lies wholly within the one before says nothing new.
        if end > shown:
            shown = end
            yield hits[begin:end]


def _looks_at_pictures(hit: Seen, swept: Iterable[Seen]) -> bool:
    """Whether the pixel was fetched by who sweeps the links, at the same time."""
    if hit.kind is not TrackingKind.OPEN or hit.source is None:
        return False
    return any(other.source == hit.source and abs(other.at - hit.at) <= _BURST for other in swept)


def _asked_before(hit: Seen, head: Seen) -> bool:
    """Whether this HEAD was the same program's, just before: no browser does that when a person clicks."""
    return (
        head.kind is TrackingKind.HEAD
        and head.link == hit.link
        and head.source == hit.source is not None
        and timedelta() <= hit.at - head.at <= _HEAD_FIRST
    )


def _are_a_pair(click: Seen, scan: Seen) -> bool:
    """Whether a scanner tried the same link in the same moment, on behalf of who clicked (R171)."""
    return (
        click.kind is TrackingKind.CLICK
        and scan.link == click.link
        and scan.own.hit_class is HitClass.SCANNER
        and abs(scan.at - click.at) <= _PAIR
    )
