"""prefcentre limits: what holds sending back, and letting it go on."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any

import structlog
import typer
from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Campaign, CampaignState
from prefcentre.cli.common import JsonOption, answer, opened
from prefcentre.errors import NotFound
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import UNTIL_RESUMED, Limit, Room, SendWindow

app = typer.Typer(help="How fast mail may go, and what holds it back now.", no_args_is_help=True)

_LEARNED = ("pace", "width", "paused_until", "why")
_SET = tuple(one.name for one in fields(Limit) if one.name not in _LEARNED)
_OVER = {CampaignState.FINISHED, CampaignState.CANCELLED}
_WORDS = {
    "per_second": "a second",
    "per_minute": "a minute",
    "per_hour": "an hour",
    "per_day": "a day",
}

log = structlog.get_logger()


@app.command(name="list")
def list_(*, as_json: JsonOption = False) -> None:
    """Show every limit that holds now: what was set, what mail servers' answers taught, and the room left."""
    with opened() as context, context.db.reading() as session:
        now = context.clock.now()
        rooms = throttles.look(session, now)
        found = [
            _shown(scope, _campaign(session, scope), limit, rooms.get(scope, Room()), now)
            for scope, limit in sorted(throttles.limits(session).items())
        ]
    found = [one for one in found if not one.pop("over")]
    lines = [line for one in found for line in _lines(one)]
    answer(as_json, {"limits": found}, "\n".join(lines) or "Nothing is limited.")


@app.command()
def resume(
    scope: Annotated[
        str, typer.Argument(help="What to let go on, as “limits list” names it: account:main.")
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """End a pause, also one that only a person ends; it begins again with one connection."""
    with opened() as context:
        with context.db.writing() as session:
            now = context.clock.now()
            resumed = _resume(session, scope, now)
        log.info("destination_resumed", scope=scope, was_paused=resumed)
    words = f"{scope} goes on." if resumed else f"{scope} was not paused; nothing was changed."
    answer(as_json, {"scope": scope, "resumed": resumed}, words)


def _resume(session: Session, scope: str, now: datetime) -> bool:
    known = throttles.limits(session)
    limit = known.get(scope)
    if limit is None:
        names = ", ".join(sorted(known)) or "none"
        raise NotFound(f"Nothing is known of “{scope}”. Limits hold for: {names}.")
    if limit.paused_until is None or limit.paused_until <= now:
        return False
    throttles.resume(session, scope, now)
    return True


def _shown(
    scope: str, campaign: Campaign | None, limit: Limit, room: Room, now: datetime
) -> dict[str, Any]:
    paused = limit.paused_until is not None and limit.paused_until > now
    needs_person = paused and limit.paused_until == UNTIL_RESUMED
    return {
        "scope": scope,
        "campaign": campaign.slug if campaign else None,
        # What was set for a campaign stays with it, and holds nothing back any more.
        "over": campaign is not None and campaign.state in _OVER,
        "set": {name: _plain(getattr(limit, name)) for name in _SET if getattr(limit, name)},
        "pace": limit.pace,
        "width": limit.width,
        "paused": paused,
        "needs_person": needs_person,
        "until": limit.paused_until if paused and not needs_person else None,
        "why": limit.why or None,
        "room": room.free,
        "full_because": room.why if room.free == 0 else None,
        "next_at": room.next_at if room.free == 0 else None,
    }


def _campaign(session: Session, scope: str) -> Campaign | None:
    kind, _, number = scope.partition(":")
    is_campaign = kind == "campaign" and number.isdigit()
    return campaigns.by_id(session, int(number)) if is_campaign else None


def _plain(value: Any) -> Any:
    return value.to_json() if isinstance(value, SendWindow) else value


def _lines(one: dict[str, Any]) -> Iterator[str]:
    name = f"{one['scope']} ({one['campaign']})" if one["campaign"] else one["scope"]
    yield f"{name}: {_room_in_words(one)}"
    if one["set"]:
        yield f"  set: {', '.join(_set_in_words(one['set']))}"
    learned = list(_learned_in_words(one))
    if learned:
        yield f"  learned: {', '.join(learned)}" + (f" ({one['why']})" if one["why"] else "")
    if one["needs_person"]:
        yield f"  stands still until a person says “prefcentre limits resume {one['scope']}”"


def _room_in_words(one: dict[str, Any]) -> str:
    if one["room"] is None:
        return "any number of messages may go now"
    if one["room"]:
        return f"{one['room']:,} messages may go now"
    until = f", until {one['next_at']:%Y-%m-%d %H:%M:%S} UTC" if one["next_at"] else ""
    return f"no message may go now: {one['full_because']}{until}"


def _set_in_words(values: dict[str, Any]) -> Iterator[str]:
    yield from (f"{values[key]:,} {words}" for key, words in _WORDS.items() if key in values)
    if "connections" in values:
        yield f"{values['connections']} connections"
    if "warm_up" in values:
        yield f"warm-up of {len(values['warm_up'])} days from {values['warm_up_from']}"
    if "send_window" in values:
        window = values["send_window"]
        days = " ".join(window["days"])
        yield f"send window {days} {window['from']}–{window['to']} {window['zone']}"


def _learned_in_words(one: dict[str, Any]) -> Iterator[str]:
    if one["pace"] is not None:
        yield f"{one['pace']:.3g} a second"
    if one["width"] is not None:
        yield f"{one['width']} connections"
    if one["paused"]:
        yield "paused"
