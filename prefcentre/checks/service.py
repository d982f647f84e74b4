"""Use cases of checks: look at a campaign, begin a long look and find it again, say what it came to."""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import urlsplit

from sqlmodel import Session

from prefcentre import addresses
from prefcentre.campaigns import service as campaigns
from prefcentre.checks import explaining, queries
from prefcentre.checks.explaining import Item
from prefcentre.checks.models import CampaignCheck, CheckState
from prefcentre.checks.outside import Outside, RealOutside
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Checked
from prefcentre.doctor import service as doctor
from prefcentre.doctor.service import RealWorld, World
from prefcentre.errors import ContentError, NotFound, PrefcentreError, Unavailable
from prefcentre.media import service as media
from prefcentre.messages import service as messages
from prefcentre.messages.service import Finding, Level, Recipient

__all__ = [
    "CampaignCheck",
    "CheckState",
    "Item",
    "Outside",
    "RealOutside",
    "Seen",
    "begin",
    "check",
    "for_start",
    "latest",
    "report",
    "run",
]

PEOPLE_AT_ONCE = 2_000
MOST_LINKS = 100
STALE, OLD = timedelta(seconds=90), timedelta(hours=24)
_EXAMPLES = 5
# Somebody whom nothing is known about, for a campaign that nobody would get yet.
_STRANGER = Recipient(0, 0, "reader@example.org")
Tell = Callable[[int, int], bool]
"""Told how many people were tried of how many; False ends the look."""


@dataclass(frozen=True)
class Seen:
    """The last look at a campaign, in words."""

    state: CheckState
    is_current: bool
    broke_off: bool
    done: int
    total: int
    items: list[Item]
    examples: Mapping[str, list[int]]
    row: CampaignCheck

    @property
    def refuses(self) -> bool:
        """Whether something keeps the campaign from going."""
        return any(item.level == "refuse" for item in self.items)


@dataclass
class _Found:
    """What a look has found so far."""

    findings: list[Finding] = field(default_factory=list)
    looked: set[str] = field(default_factory=set)
    examples: dict[str, list[int]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        findings = [[one.level.value, one.name, one.message] for one in self.findings]
        looked = sorted(self.looked)
        return {
            "findings": findings,
            "looked": looked,
            "examples": self.examples,
            "notes": self.notes,
        }


def check(
    context: Context,
    slug: str,
    *,
    outside: Outside | None = None,
    world: World | None = None,
    tell: Tell | None = None,
) -> tuple[Checked, list[Item]]:
    """Everything that can be looked at before a campaign goes, its variables with its whole audience (R192).

    Writes only what DNS says about the sender. Takes as long as the audience is large; ``tell`` hears how far it has
    come. Raises NotFound, and ContentError with file and line for mistakes in the campaign.
    """
    checked = _content(context, slug, world)
    found = _look_around(context, checked, outside or RealOutside())
    _try_everybody(context, checked, found, tell or _go_on)
    complete = replace(checked, findings=_merged(checked.findings, found))
    return complete, explaining.report(complete.findings, frozenset(found.looked), found.notes)


def for_start(context: Context, slug: str, outside: Outside | None = None) -> Checked:
    """As much as a start waits for: the content with some people of the audience, and what a look outside found.

    That look is the last one, when it was at the same text and not longer ago than a day; else there is one now.
    ``Checked.require_clean`` refuses. Raises as ``check``.
    """
    with context.db.reading() as session:
        checked = delivery.check(session, context, slug)
        seen = latest(session, context, slug)
    fresh = seen is not None and seen.is_current and seen.state is CheckState.DONE
    if seen is not None and fresh and context.clock.now() - seen.row.began_at < OLD:
        kept = [
            Finding(Level(level), name, words) for level, name, words in seen.row.found["findings"]
        ]
        known = {(one.name, one.message) for one in checked.findings}
        # What depends on settings or on people was looked at again just now.
        more = [
            one for one in kept if one.name in _OUTSIDE and (one.name, one.message) not in known
        ]
        return replace(checked, findings=[*checked.findings, *more])
    found = _look_around(context, checked, outside or RealOutside())
    return replace(checked, findings=[*checked.findings, *found.findings])


_OUTSIDE = frozenset(
    {"links_alive", "spam", "pictures", "contrast", "text", "subject_length", "alt"}
)


def begin(session: Session, context: Context, slug: str) -> str:
    """Note that a look begins, in place of the one before; returns its name, which ``run`` wants. Raises NotFound."""
    campaign = campaigns.get(session, slug)
    now, name = context.clock.now(), secrets.token_hex(8)
    queries.replace(
        session,
        CampaignCheck(
            campaign_id=campaign.id or 0,
            fingerprint=_fingerprint(session, context, slug),
            state=CheckState.RUNNING,
            began_at=now,
            beat_at=now,
            run=name,
        ),
    )
    return name


def run(
    context: Context,
    slug: str,
    name: str,
    outside: Outside | None = None,
    world: World | None = None,
) -> None:
    """Take a look that was begun, to its end or until another one is begun; what it finds is noted as it goes."""
    with context.db.reading() as session:
        campaign_id = campaigns.get(session, slug).id or 0

    def note(**columns: object) -> bool:
        with context.db.writing() as session:
            return queries.go_on(session, campaign_id, name, context.clock.now(), **columns)

    try:
        checked = _content(context, slug, world)
        if not note(found=_Found(list(checked.findings)).to_json()):
            return
        found = _look_around(context, checked, outside or RealOutside())
        so_far = _Found(_merged(checked.findings, found), found.looked, {}, found.notes)
        if not note(found=so_far.to_json()):
            return
        if not _try_everybody(
            context, checked, found, lambda done, total: note(done=done, total=total)
        ):
            return
        whole = _Found(_merged(checked.findings, found), found.looked, found.examples, found.notes)
        note(found=whole.to_json(), state=CheckState.DONE, finished_at=context.clock.now())
    except ContentError as error:
        broken = _Found([Finding(Level.ERROR, "template", str(error))])
        note(found=broken.to_json(), state=CheckState.DONE, finished_at=context.clock.now())
    except PrefcentreError as error:
        broken = _Found([Finding(Level.WARNING, "other", str(error))])
        note(found=broken.to_json(), state=CheckState.FAILED, finished_at=context.clock.now())


def latest(session: Session, context: Context, slug: str) -> Seen | None:
    """The last look at a campaign, and whether it was at what the campaign says now; None when there was none."""
    campaign = campaigns.find(session, slug)
    row = queries.latest(session, campaign.id or 0) if campaign else None
    if row is None:
        return None
    stored = {"findings": [], "looked": [], "examples": {}, "notes": {}} | dict(row.found)
    findings = [Finding(Level(level), name, words) for level, name, words in stored["findings"]]
    stale = context.clock.now() - row.beat_at > STALE
    return Seen(
        state=row.state,
        is_current=row.fingerprint == _fingerprint(session, context, slug),
        broke_off=row.state is CheckState.RUNNING and stale,
        done=row.done,
        total=row.total,
        items=explaining.report(findings, frozenset(stored["looked"]), stored["notes"]),
        examples=stored["examples"],
        row=row,
    )


def report(checked: Checked) -> list[Item]:
    """Every check in words, for what was looked at without leaving this machine."""
    return explaining.report(checked.findings, frozenset())


def _content(context: Context, slug: str, world: World | None) -> Checked:
    with context.db.reading() as session:
        source = campaigns.source(session, context, slug)
    if not context.settings.keeps_mail_here:
        domain = addresses.parse(source.sender_email).domain
        doctor.examine_domain(context, world or RealWorld(), domain)
    with context.db.reading() as session:
        checked = delivery.check(session, context, slug)
        differs = campaigns.differs_from_files(session, context, slug)
    if not differs:
        return checked
    words = f"campaigns/{slug}/ says something else; what counts is the text in the database."
    return replace(checked, findings=[*checked.findings, Finding(Level.WARNING, "files", words)])


def _look_around(context: Context, checked: Checked, outside: Outside) -> _Found:
    """What one mail looks like, whether its links lead somewhere, and what the spam filter thinks of it."""
    found, source = _Found(looked={"dns"}), checked.source
    with context.db.reading() as session:
        topic = next((one for one in consent.topics(session) if one.key == source.topic), None)
        known = topic is not None
        people = delivery.audience_people(session, context, source.slug, 0, 1) if known else []
    _try_links(context, checked.compiled.links, found, outside)
    try:
        name = topic.name if topic else source.topic
        shown = messages.show(context.settings, source, name, (people or [_STRANGER])[0])
    except ContentError:
        # What is wrong with the content stands among its findings already; this reader can't be shown it.
        found.notes |= dict.fromkeys(
            _SEEN, "Not looked at, because the first reader lacks a value."
        )
        return found
    found.looked.add("seen")
    found.findings += explaining.about_subject(shown.subject)
    found.findings += explaining.about_text(shown.text, shown.look)
    found.findings += explaining.about_look(shown.look)
    found.findings += _weights(context, [picture.address for picture in shown.look.pictures])
    _ask_filter(context, shown.raw.encode(), found, outside)
    return found


_SEEN = ("subject", "parts", "pictures", "contrast", "spam")


def _weights(context: Context, pictures: Sequence[str]) -> list[Finding]:
    own = {address: address.rpartition("/")[2] for address in pictures if _is_own(context, address)}
    with context.db.reading() as session:
        sizes = media.sizes(session, set(own.values()))
    weights = {address: sizes[name] for address, name in own.items() if name in sizes}
    return list(explaining.about_weights(weights))


def _is_own(context: Context, address: str) -> bool:
    return address.startswith(media.url_of(context, ""))


def _try_links(context: Context, links: Sequence[str], found: _Found, outside: Outside) -> None:
    wanted = [link for link in dict.fromkeys(links) if urlsplit(link).scheme in {"http", "https"}]
    found.looked.add("links")
    allowed = context.settings.check_links
    if allowed is None:
        allowed = not context.settings.keeps_mail_here
    if wanted and not allowed:
        words = f"{len(wanted)} links were not tried, because mail stays on this machine (PREFCENTRE_CHECK_LINKS)."
        found.findings.append(Finding(Level.WARNING, "links_alive", words))
    elif wanted:
        found.findings += explaining.about_links(outside.links(wanted[:MOST_LINKS]))


def _ask_filter(context: Context, mail: bytes, found: _Found, outside: Outside) -> None:
    place = context.settings.spamd
    if not place:
        found.notes["spam"] = "No spam filter is set (PREFCENTRE_SPAMD), so there is no score."
        return
    found.looked.add("spam")
    try:
        answer = outside.spam(place, mail)
    except Unavailable as error:
        found.findings.append(Finding(Level.WARNING, "spam", f"{error}."))
        return
    found.findings += explaining.about_spam(answer.score, answer.limit, answer.reasons)


def _try_everybody(context: Context, checked: Checked, found: _Found, tell: Tell) -> bool:
    """Fill the campaign in for its whole audience; False when the look is not wanted any more."""
    slug = checked.source.slug
    try:
        with context.db.reading() as session:
            total = delivery.plan_campaign(session, context, slug).audience
            topic = consent.topic(session, checked.source.topic).name
    except NotFound:
        return True
    missing: dict[str, list[int]] = {}
    failures: dict[str, list[int]] = {}
    counts: dict[str, int] = {}
    done = after = 0
    while tell(done, max(total, done)):
        with context.db.reading() as session:
            people = delivery.audience_people(session, context, slug, after, PEOPLE_AT_ONCE)
        if not people:
            found.looked.add("everybody")
            _note_missing(found, missing, failures, counts, done)
            return True
        tried = messages.try_people(context.settings, checked.compiled, slug, topic, people)
        for kept, new in ((missing, tried.missing), (failures, tried.failures)):
            for name, ids in new.items():
                counts[name] = counts.get(name, 0) + len(ids)
                kept[name] = (kept.get(name, []) + ids)[:_EXAMPLES]
        done, after = done + len(people), people[-1].subscriber_id
    return False


def _note_missing(
    found: _Found,
    missing: Mapping[str, list[int]],
    failures: Mapping[str, list[int]],
    counts: Mapping[str, int],
    total: int,
) -> None:
    found.examples = {**missing, **failures}
    found.findings += explaining.about_everybody(
        {name: counts[name] for name in missing}, {name: counts[name] for name in failures}, total
    )


def _merged(content: Sequence[Finding], found: _Found) -> list[Finding]:
    """All findings once; when everybody was tried, what some people came to is not said as well."""
    first = [
        one for one in content if not (one.name == "variables" and "everybody" in found.looked)
    ]
    # The content's own look at alt texts reads the source, which says it in another way.
    seen = {(one.name, one.message): one for one in [*first, *found.findings]}
    return sorted(seen.values(), key=lambda one: one.level is not Level.ERROR)


def _fingerprint(session: Session, context: Context, slug: str) -> str:
    """The same while a campaign says the same, its template included."""
    try:
        said = repr(sorted(campaigns.source(session, context, slug).to_json().items()))
    except ContentError:
        said = campaigns.texts(session, context, slug).fingerprint
    return hashlib.sha256(said.encode()).hexdigest()


def _go_on(_done: int, _total: int) -> bool:
    return True
