"""What a person's choices mean: what is on, what a saved page changes, and what an undo may put back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from prefcentre.consent.models import Channel, ConsentAction, ConsentState, LawfulBasis
from prefcentre.errors import InvalidInput
from prefcentre.preferences.models import Frequency, TrackingChoice
from prefcentre.reasons import Reason

UNDO_FOR = timedelta(minutes=15)
LONGEST_PAUSE = timedelta(days=366)

# What the person stopped by their own act: the box stands empty, and ticking it lifts the entry (D16).
OWN_STOPS = frozenset({Reason.TOPIC, Reason.STOP_ALL})
# What a withdrawal ends; the other states are an end already.
STOPPABLE = frozenset({ConsentState.GRANTED, ConsentState.PENDING})

Place = tuple[str, Channel]
"""A topic's key and a channel: one box of the grid."""
Entry = tuple[str, Reason]
"""A suppression's scope and reason."""

# What is about the mailbox and not about the person, so it stays behind when they move to another one (R135). A domain's
# entry stands under the domain's key and never was theirs.
OF_THE_MAILBOX = frozenset(
    {Reason.TRAP, Reason.HARD_BOUNCE, Reason.SOFT_BOUNCE, Reason.ROLE, Reason.DOMAIN}
)


class Method(StrEnum):
    """The way by which a person told us."""

    ONE_CLICK = "one_click"  # Their mailbox provider's button (RFC 8058).
    UNSUBSCRIBE_PAGE = "unsubscribe_page"  # The button of the page behind the unsubscribe link.
    PREFERENCE_PAGE = "preference_page"  # The preference page.
    SIGN_UP = "sign_up"  # The form for signing up.
    CONFIRMATION = "confirmation"  # The button behind a link that was mailed to confirm something.
    EMAIL = "email"  # A mail to the address in List-Unsubscribe (R39).
    PROVIDER = "provider"  # At the company that delivers our mail, which told us.
    COMMAND = "command"  # They asked, and an operator did it for them.


@dataclass(frozen=True, slots=True)
class Visit:
    """How an act came in: kept as evidence with the consent events (R81). ``language`` is the one of the page."""

    method: Method
    ip: str | None = None
    user_agent: str | None = None
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Before:
    """A consent as it was before an act."""

    state: ConsentState | None = None
    valid_until: datetime | None = None
    basis: LawfulBasis | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a person stands on one topic and channel.

    ``on`` is what they chose and nothing of their own stops; ``blocked`` is what keeps it from them all the same.
    ``method`` and ``wording`` say how and by which words the person came to stand there.
    """

    channel: Channel
    state: ConsentState | None = None
    since: datetime | None = None
    on: bool = False
    blocked: Reason | None = None
    method: str | None = None
    wording: str | None = None

    @property
    def arrives(self) -> bool:
        """Whether it is sent at present."""
        return self.on and self.blocked is None


@dataclass(frozen=True, slots=True)
class TopicChoices:
    """One topic with every channel that it offers; ``wording`` are the words that a tick agrees to (R84)."""

    id: int
    key: str
    name: str
    description: str
    cells: tuple[Cell, ...]
    wording: str = ""

    @property
    def arriving(self) -> tuple[Channel, ...]:
        """The channels that the person gets it by at present."""
        return tuple(cell.channel for cell in self.cells if cell.arrives)


@dataclass(frozen=True, slots=True)
class Limits:
    """How often, from when on, and what may be counted: all that is chosen for every topic at once."""

    frequency: Frequency = Frequency.ALL
    paused_until: datetime | None = None
    track_opens: TrackingChoice = TrackingChoice.NEVER_ASKED
    track_clicks: TrackingChoice = TrackingChoice.NEVER_ASKED


@dataclass(frozen=True, slots=True)
class Wish:
    """A preference page as it was sent in.

    ``shown`` are the boxes that stood ticked when the page was made. A page left open in another tab may still show as
    ticked what was stopped since, and sending it in must not bring that back.
    """

    ticked: frozenset[Place]
    shown: frozenset[Place] = frozenset()
    frequency: Frequency | None = None
    paused_until: datetime | None = None
    track_opens: bool = False
    track_clicks: bool = False
    language: str | None = None


def is_on(
    state: ConsentState | None,
    valid_until: datetime | None,
    denies: Iterable[Reason],
    now: datetime,
) -> bool:
    """Whether the box stands ticked: granted, not run out, and not stopped by the person's own act since."""
    granted = state is ConsentState.GRANTED and (valid_until is None or valid_until > now)
    return granted and not OWN_STOPS.intersection(denies)


def acts(topics: Iterable[TopicChoices], wish: Wish) -> dict[Place, ConsentAction]:
    """What a saved page does: newly ticked boxes grant, boxes left empty withdraw, all others stay untouched.

    A box that was ticked already when the page was made grants nothing, and one that was never asked about and stays
    empty records nothing.
    """
    return {
        (topic.key, cell.channel): action
        for topic in topics
        for cell in topic.cells
        if (action := _act(cell, (topic.key, cell.channel), wish)) is not None
    }


def _act(cell: Cell, place: Place, wish: Wish) -> ConsentAction | None:
    if place in wish.ticked:
        return None if cell.on or place in wish.shown else ConsentAction.GRANTED
    # A sign-up that waits for its confirmation has an empty box already; leaving it so says nothing.
    return ConsentAction.WITHDRAWN if cell.state is ConsentState.GRANTED else None


def limits_after(before: Limits, wish: Wish) -> Limits:
    """The limits that a saved page sets. An empty box under a question that was seen is a no (R154)."""
    return Limits(
        frequency=wish.frequency or before.frequency,
        paused_until=wish.paused_until,
        track_opens=TrackingChoice.YES if wish.track_opens else TrackingChoice.NO,
        track_clicks=TrackingChoice.YES if wish.track_clicks else TrackingChoice.NO,
    )


def limits_to_json(limits: Limits) -> dict[str, str | None]:
    """The limits as an undo keeps them."""
    paused = limits.paused_until.isoformat() if limits.paused_until else None
    return {
        "frequency": limits.frequency.value,
        "paused_until": paused,
        "track_opens": limits.track_opens.value,
        "track_clicks": limits.track_clicks.value,
    }


def limits_from_json(saved: Mapping[str, str | None]) -> Limits:
    """The other way round."""
    paused = saved["paused_until"]
    return Limits(
        Frequency(saved["frequency"] or Frequency.ALL),
        datetime.fromisoformat(paused) if paused else None,
        TrackingChoice(saved["track_opens"] or TrackingChoice.NEVER_ASKED),
        TrackingChoice(saved["track_clicks"] or TrackingChoice.NEVER_ASKED),
    )


def scope_of(place: Place) -> str:
    """The scope of an entry that stops one topic on one channel."""
    key, channel = place
    return f"{key}:{channel.value}"


def covers(scope: str, place: Place) -> bool:
    """Whether an entry forbids this topic on this channel. A blocked domain stands for its mailboxes."""
    _, channel = place
    email_only = scope == "domain" and channel is Channel.EMAIL
    return email_only or scope in {"all", channel.value, scope_of(place)}


def lifts(granted: Iterable[Place], scope: str, reason: Reason) -> bool:
    """Whether choosing these boxes ends an entry: only the person's own stops, and only where they cover a box (D16)."""
    return reason in OWN_STOPS and any(covers(scope, place) for place in granted)


def pause_from(text: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """When a pause ends, from the date that was typed: at the start of that day where the person lives.

    Raises InvalidInput, in words for the person, for what is no date, is over, or is more than a year away.
    """
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput("Write the date as year-month-day, such as 2027-03-01.") from error
    end = datetime.combine(day, time(), zone).astimezone(UTC)
    if end <= now:
        raise InvalidInput("Choose a day after today, or leave the date empty.")
    if end > now + LONGEST_PAUSE:
        raise InvalidInput(
            "Choose a day within the next twelve months. To hear nothing for longer, stop everything."
        )
    return end


def undo_action(before: ConsentState | None) -> ConsentAction:
    """The act that puts a consent back; what had not been given is taken away again."""
    return ConsentAction.RESTORED if before in STOPPABLE else ConsentAction.WITHDRAWN


def trace(place: Place, before: Before, after: ConsentState | None) -> dict[str, str | None]:
    """One changed consent as an undo keeps it."""
    key, channel = place
    return {
        "topic": key,
        "channel": channel.value,
        "before": before.state,
        "valid_until": before.valid_until.isoformat() if before.valid_until else None,
        "basis": before.basis,
        "after": after,
    }


def untouched(
    saved: Iterable[Mapping[str, str]], state: Callable[[Place], ConsentState | None]
) -> dict[Place, Before]:
    """Where to go back to, for every place that nobody has touched since the act."""
    return {
        place: _before(found)
        for found in saved
        if state(place := (found["topic"], Channel(found["channel"]))) == found["after"]
    }


def _before(saved: Mapping[str, str]) -> Before:
    state, until, basis = saved["before"], saved["valid_until"], saved["basis"]
    return Before(
        ConsentState(state) if state else None,
        datetime.fromisoformat(until) if until else None,
        LawfulBasis(basis) if basis else None,
    )
