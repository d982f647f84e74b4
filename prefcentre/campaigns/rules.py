"""What a campaign may do in which state, when it is late, and how a start time is read."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefcentre.campaigns.models import CampaignState
from prefcentre.errors import InvalidInput

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


class CampaignEvent(StrEnum):
    """Something that happens to a campaign."""

    SCHEDULE = "schedule"  # A person sets the time; "now" is a time too.
    UNSCHEDULE = "unschedule"  # A person takes the time back.
    PREPARE = "prepare"  # Its time has come: the audience is written down.
    SEND = "send"  # The audience is complete.
    PAUSE = "pause"  # A person stops it for now.
    RESUME = "resume"  # A person lets it go on.
    HOLD = "hold"  # We stop it: overdue, or a check failed.
    FINISH = "finish"  # Every recipient has an outcome.
    REOPEN = "reopen"  # A person sends uncertain mails again.
    CANCEL = "cancel"  # A person ends it.


_S = CampaignState
TRANSITIONS: dict[CampaignEvent, dict[CampaignState, CampaignState]] = {
    # A campaign that was held before its audience was written can be given a new time.
    CampaignEvent.SCHEDULE: {
        _S.DRAFT: _S.SCHEDULED,
        _S.SCHEDULED: _S.SCHEDULED,
        _S.HELD: _S.SCHEDULED,
    },
    CampaignEvent.UNSCHEDULE: {_S.SCHEDULED: _S.DRAFT},
    CampaignEvent.PREPARE: {_S.SCHEDULED: _S.PREPARING},
    CampaignEvent.SEND: {_S.PREPARING: _S.SENDING},
    CampaignEvent.PAUSE: {_S.PREPARING: _S.PAUSED, _S.SENDING: _S.PAUSED},
    # Where a resumed campaign goes on depends on its audience: see ``resumed``.
    CampaignEvent.RESUME: {_S.PAUSED: _S.SENDING, _S.HELD: _S.SENDING},
    CampaignEvent.HOLD: {
        _S.SCHEDULED: _S.HELD,
        _S.PREPARING: _S.HELD,
        _S.SENDING: _S.HELD,
    },
    CampaignEvent.FINISH: {_S.SENDING: _S.FINISHED},
    # Its audience stays as it was; only recipients whose outcome was uncertain have none again.
    CampaignEvent.REOPEN: {_S.FINISHED: _S.SENDING},
    CampaignEvent.CANCEL: {
        _S.DRAFT: _S.CANCELLED,
        _S.SCHEDULED: _S.CANCELLED,
        _S.PREPARING: _S.CANCELLED,
        _S.SENDING: _S.CANCELLED,
        _S.PAUSED: _S.CANCELLED,
        _S.HELD: _S.CANCELLED,
    },
}

# At the desk a campaign is taken off the schedule first, so that nothing goes out that nobody has looked at.
DRAFT_MAY_CHANGE: frozenset[CampaignState] = frozenset({_S.DRAFT})
CONTENT_MAY_CHANGE: frozenset[CampaignState] = frozenset({_S.DRAFT, _S.SCHEDULED})
OVER: frozenset[CampaignState] = frozenset({_S.FINISHED, _S.CANCELLED})


def states_for(event: CampaignEvent) -> frozenset[CampaignState]:
    """The states in which this may happen."""
    return frozenset(TRANSITIONS[event])


def after(state: CampaignState, event: CampaignEvent) -> CampaignState | None:
    """The state that follows, or None when this can't happen now."""
    return TRANSITIONS[event].get(state)


def resumed(*, has_audience: bool) -> CampaignState:
    """Where a paused or held campaign goes on: an audience that is not complete is completed first."""
    return _S.SENDING if has_audience else _S.PREPARING


def refusal(slug: str, state: CampaignState, event: CampaignEvent) -> str:
    """Why this can't be done now, in words."""
    wanted = [name.value for name in CampaignState if name in TRANSITIONS[event]]
    allowed = " or ".join(wanted) if wanted else "no state"
    return f"Campaign “{slug}” is {state.value}; only a campaign that is {allowed} can {_WORDS[event]}."


_WORDS = {
    CampaignEvent.SCHEDULE: "be given a time",
    CampaignEvent.UNSCHEDULE: "be taken off the schedule",
    CampaignEvent.PREPARE: "be prepared",
    CampaignEvent.SEND: "begin to send",
    CampaignEvent.PAUSE: "be paused",
    CampaignEvent.RESUME: "go on",
    CampaignEvent.HOLD: "be held",
    CampaignEvent.FINISH: "be finished",
    CampaignEvent.REOPEN: "be opened again",
    CampaignEvent.CANCEL: "be cancelled",
}


def is_overdue(start_at: datetime, now: datetime, max_lateness: int) -> bool:
    """Whether it is too late to send without asking a person (R191)."""
    return now - start_at > timedelta(seconds=max_lateness)


def locked(slug: str, state: CampaignState) -> str:
    """Why what a campaign says can't be written any more, and what to do."""
    if state is CampaignState.SCHEDULED:
        return f"Campaign “{slug}” is scheduled; take it off the schedule to change what it says."
    return f"Campaign “{slug}” is {state.value}; what it says can't change any more. Copy it under a new name."


def is_slug(text: str) -> bool:
    """Whether this can name a campaign: small letters, digits and hyphens, 64 at most."""
    return SLUG.fullmatch(text) is not None


def slug_from(name: str) -> str:
    """A slug that reminds of a name; empty when nothing of it can stand in one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-")


def read_time(text: str) -> tuple[datetime, str | None]:
    """A start time as a person writes it, in UTC, and the zone it names (R190).

    Takes ``2026-12-01T09:00+02:00`` and ``2026-12-01 09:00 Europe/Sofia``. An hour that the clock change skips
    means the same time after the change; one that comes twice means the first. Raises InvalidInput.
    """
    moment, _, zone_name = text.strip().rpartition(" ")
    if not moment or ":" in zone_name:
        moment, zone_name = text.strip(), ""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError as error:
        raise InvalidInput(_time_help(text)) from error
    if found.tzinfo is not None:
        return found.astimezone(UTC), None
    if not zone_name:
        raise InvalidInput(_time_help(text))
    return _in_zone(found, zone_name), zone_name


def read_local_time(text: str, zone_name: str) -> datetime:
    """A time as a form on a page sends it, such as ``2026-12-01T09:00``, on the clocks of a zone; in UTC (R190).

    Refuses an hour that the clock change skips or repeats, because a person who is there can say which one is meant.
    Raises InvalidInput.
    """
    try:
        local = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput("Choose a day and a time.") from error
    if local.tzinfo is not None:
        raise InvalidInput("Choose the time without an offset; the zone stands beside it.")
    zone = _zone(zone_name.strip())
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    shown = f"{local:%H:%M} on {local:%-d %B %Y}"
    if first.astimezone(zone).replace(tzinfo=None) != local:
        raise InvalidInput(
            f"There is no {shown} in {zone_name}: the clocks go forward over it. Choose a time before or after."
        )
    if first != second:
        raise InvalidInput(
            f"{shown} comes twice in {zone_name}: the clocks go back. Choose a time before or after that hour."
        )
    return first


def _zone(zone_name: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"“{zone_name}” is not a time zone; write one such as Europe/Sofia."
        ) from error


def _in_zone(local: datetime, zone_name: str) -> datetime:
    zone = _zone(zone_name)
    # With fold=0 a skipped hour is read with the offset before the change, which lands after the gap.
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _time_help(text: str) -> str:
    return f"“{text}” is not a time with a zone; write 2026-12-01T09:00+02:00 or “2026-12-01 09:00 Europe/Sofia”."
