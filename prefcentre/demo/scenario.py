"""Fills a scratch folder: topics, people, what became of them, and campaigns past, present, coming, held and in the making."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.consent import service as consent
from prefcentre.consent.service import Act, Channel, ConsentAction
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.demo import asked, desk
from prefcentre.demo.letters import LETTERS
from prefcentre.demo.past import Past, SetBack, send
from prefcentre.demo.people import CAST, MadeUp, people
from prefcentre.imports import service as imports
from prefcentre.imports.service import ImportOptions
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Frequency, Method, TrackingChoice, Visit, Wish
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.service import Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.tokens import LinkToken, TokenKind

NOW, LATER = "spring-release", "founders-letter"
LATER_BY = timedelta(minutes=2)
PASTS = (
    Past("autumn-news", 75, opens=0.42, clicks=0.09, leaves=0.006),
    Past("winter-news", 38, opens=0.47, clicks=0.14, leaves=0.004),
)
COMING, HELD, DRAFT = "workshop-sofia", "early-bird", "ten-tips"
COMING_DAYS, OVERDUE_DAYS = 5, 2
_ZONE = "Europe/Sofia"
_STAFF = "demo"
PAUSE = timedelta(days=60)
# The inbox answers “no such user” for these, so that bounces are seen too.
MOVED = "moved"

_COLUMNS = (
    "email", "phone", "name", "first_name", "last_name", "language", "timezone", "city", "customer_since", "tracking",
    "consented_at",
)  # fmt: skip
_FILES: dict[str, tuple[str, Channel, str, Callable[[MadeUp], bool]]] = {
    "newsletter-form.csv": (
        "product-news", Channel.EMAIL, "Form on www.example.com/news", lambda who: who.chance < 0.83 and who.email[:3] != "ben",
    ),
    "catalogue-by-post.csv": (
        "product-news", Channel.POST, "Order form", lambda who: 0.3 < who.chance < 0.45,
    ),
    "spring-fair.csv": (
        "events", Channel.EMAIL, "Stand at the spring fair", lambda who: 0.2 < who.chance < 0.55,
    ),
    "checkout.csv": (
        "offers", Channel.EMAIL, "Box at the checkout", lambda who: 0.4 < who.chance < 0.7,
    ),
}  # fmt: skip


def fill(context: Context, folder: Path, tell: Callable[[str], None]) -> None:
    """Write the files that an operator would have, bring them in as an operator would, start the campaigns.

    In a folder that was kept from an earlier time only what is missing is done.
    """
    desk.prepare(context)
    with context.db.reading() as session:
        known = {campaign.slug for campaign in campaigns.list_all(session)}
    is_new = NOW not in known
    everybody = [_with_some_moved(who) for who in people()]
    if is_new:
        _first_people(context, folder, everybody, tell)
    _remember(context, known, tell)
    if is_new:
        _since_then(context, folder, everybody, tell)
        asked.ask(context, everybody)
    _make_up_campaigns(context, known)
    for slug, delay in ((NOW, timedelta()), (LATER, LATER_BY)):
        if slug not in known:
            _start(context, slug, delay)


def _remember(context: Context, known: set[str], tell: Callable[[str], None]) -> None:
    """Campaigns that went out long ago."""
    for slug in LETTERS.keys() - known:
        with context.db.writing() as session:
            campaigns.create(session, context, slug, LETTERS[slug], _STAFF)
    for past in PASTS:
        if past.slug not in known:
            tell(f"Remembering “{past.slug}” …")
            send(context, past)


def _make_up_campaigns(context: Context, known: set[str]) -> None:
    """One for next week, and one that missed its time; a third is not finished."""
    if COMING not in known:
        _start(context, COMING, timedelta(days=COMING_DAYS), _ZONE)
    if HELD not in known:
        missed = replace(context, clock=SetBack(context.clock.now() - timedelta(days=OVERDUE_DAYS)))
        _start(missed, HELD, timedelta())
        with context.db.writing() as session:
            campaigns.hold(session, HELD, "overdue")


def _first_people(
    context: Context, folder: Path, everybody: Sequence[MadeUp], tell: Callable[[str], None]
) -> None:
    topics = folder / "topics.toml"
    topics.write_bytes(files("prefcentre.demo").joinpath("topics.toml").read_bytes())
    with context.db.writing() as session:
        consent.apply_topics(session, context, topics)
    tell(f"Importing {len(everybody):,} people …")
    _import(context, _write(folder / "customers.csv", everybody), ImportOptions())
    _consents(context, folder, [who for who in everybody if not _is_late(who)])


def _since_then(
    context: Context, folder: Path, everybody: Sequence[MadeUp], tell: Callable[[str], None]
) -> None:
    """Who joined after the campaigns of the past, and who changed their mind."""
    late = [_joined_lately(context, who) for who in everybody if _is_late(who)]
    _consents(context, folder, late, "lately-")
    tell("Letting some of them change their minds …")
    _sign_up(
        context, [who for who in everybody if who.chance > 0.955 or who.email.startswith("ben@")]
    )
    _suppress(context, everybody)
    _choose(context, everybody)


def _consents(
    context: Context, folder: Path, everybody: Sequence[MadeUp], prefix: str = ""
) -> None:
    for name, (topic, channel, source, chosen) in _FILES.items():
        path = _write(folder / f"{prefix}{name}", filter(chosen, everybody))
        options = ImportOptions(topic=topic, channel=channel, basis="consent", source=source)
        _import(context, path, options)


def _is_late(who: MadeUp) -> bool:
    return int(who.chance * 10_000) % 6 == 0 and not who.email.endswith(CAST)


def _joined_lately(context: Context, who: MadeUp) -> MadeUp:
    # After the last campaign of the past, so that nobody was written to before they agreed.
    days = int(who.chance * 10_000_000) % (PASTS[-1].days_ago - 2) + 1
    at = context.clock.now() - timedelta(days=days, minutes=int(who.chance * 1000))
    return replace(who, consented_at=f"{at:%Y-%m-%dT%H:%M:00Z}")


def _start(context: Context, slug: str, delay: timedelta, zone: str | None = None) -> None:
    with context.db.reading() as session:
        checked = delivery.check(session, context, slug)
    with context.db.writing() as session:
        delivery.start(session, context, checked, context.clock.now() + delay, zone)


def _with_some_moved(who: MadeUp) -> MadeUp:
    if not 0.700 < who.chance < 0.715:
        return who
    return MadeUp(**(asdict(who) | {"email": f"{MOVED}.{who.email}"}))


def _write(path: Path, rows: Iterable[MadeUp]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return path


def _import(context: Context, path: Path, options: ImportOptions) -> None:
    imports.import_file(context, path, options)


def _sign_up(context: Context, who: Sequence[MadeUp]) -> None:
    """They filled in the form and have not confirmed yet."""
    with context.db.writing() as session:
        topic = consent.topic(session, "product-news")
        acts = []
        for one in who:
            person = subscribers.find(session, context, one.email)
            if person is not None and person.id is not None:
                acts.append(
                    Act(
                        subscriber_id=person.id,
                        subscriber_ref=person.consent_ref,
                        topic_id=topic.id or 0,
                        channel=Channel.EMAIL,
                        action=ConsentAction.REQUESTED,
                        method="form",
                        source="Form on www.example.com/news",
                        at=context.clock.now(),
                    )
                )
        consent.record(session, context, acts)


def _suppress(context: Context, everybody: Sequence[MadeUp]) -> None:
    """What mail servers, mailbox providers and colleagues reported in the past."""
    reasons = {
        Reason.HARD_BOUNCE: (0.060, 0.080, "Report of a mail server"),
        Reason.COMPLAINT: (0.080, 0.084, "Report of a mailbox provider"),
        Reason.MANUAL: (0.084, 0.086, "Call to our hotline"),
        Reason.OBJECTION: (0.086, 0.088, "Letter"),
    }
    with context.db.writing() as session:
        for reason, (low, high, source) in reasons.items():
            for who in everybody:
                if low < who.chance < high or (who.email == "dan@example.org" and low == 0.060):
                    suppression.suppress(
                        session, context, email=who.email, scope="all", reason=reason, source=source
                    )


def _choose(context: Context, everybody: Sequence[MadeUp]) -> None:
    """What people did on their own pages."""
    with context.db.writing() as session:
        for who in everybody:
            chance = 0.101 if who.email == "cleo@example.org" else who.chance
            if 0.100 < chance < 0.185:
                person = subscribers.find(session, context, who.email)
                if person is not None:
                    _visit(session, context, person, chance)


def _visit(session: Session, context: Context, person: Subscriber, chance: float) -> None:
    topic = consent.topic(session, "product-news")
    token = LinkToken(TokenKind.PREFERENCES, person.public_id, topic.id or 0)
    if chance < 0.140:
        preferences.unsubscribe(session, context, token, Visit(Method.ONE_CLICK))
    elif chance < 0.155:
        preferences.stop_everything(session, context, token, Visit(Method.PREFERENCE_PAGE))
    else:
        _slow_down(session, context, person, token, pauses=chance < 0.175)


def _slow_down(
    session: Session, context: Context, person: Subscriber, token: LinkToken, *, pauses: bool
) -> None:
    found = preferences.overview(session, context, person)
    boxes = frozenset(
        (topic.key, cell.channel) for topic in found.topics for cell in topic.cells if cell.on
    )
    wish = Wish(
        boxes,
        shown=boxes,
        frequency=Frequency.MONTHLY,
        paused_until=context.clock.now() + PAUSE if pauses else None,
        track_opens=found.limits.track_opens is TrackingChoice.YES,
        track_clicks=found.limits.track_clicks is TrackingChoice.YES,
    )
    preferences.save(session, context, token, wish, Visit(Method.PREFERENCE_PAGE))
