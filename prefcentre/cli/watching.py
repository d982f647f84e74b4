"""The live view of a campaign: once a second until it is over, for a person at a terminal or as JSON for a program."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from prefcentre.cli.common import answer, err, out
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Progress
from prefcentre.errors import Unavailable

LOOK_EVERY_SECONDS = 1.0
# Counting a million rows takes a moment; a view must not take part of the machine away from the sender for long.
_REST_TO_LOOK = 4.0
_RATE_SECONDS = 10.0
_BAR_WIDTH = 60


class Pace:
    """How many recipients got their outcome in each of the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, at: float, done: int) -> None:
        """There were so many at this moment (in seconds, from any beginning)."""
        self._seen.append((at, done))
        while at - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Recipients a second; 0 while there is only one look."""
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        # A mail that is sent again has no outcome any more; that is no pace.
        return max(0.0, (last - first) / (last_at - first_at)) if last_at > first_at else 0.0


def watch(context: Context, slug: str, *, as_json: bool) -> None:
    """Show a campaign until it is over. Ctrl-C ends the view and not the campaign. Raises NotFound."""
    try:
        if as_json:
            for found, rate in _looks(context, slug):
                answer(True, as_data(found, rate))
        elif out.is_terminal:
            with Live(console=out, auto_refresh=False) as live:
                for found, rate in _looks(context, slug):
                    live.update(_view(found, rate), refresh=True)
        else:
            for found, rate in _looks(context, slug):
                out.print(_line(found, rate), markup=False)
    except KeyboardInterrupt:
        return


def as_data(found: Progress, rate: float) -> dict[str, Any]:
    """What one line of JSON says."""
    return {
        **found.status,
        "at": found.at,
        "rate": round(rate, 1),
        "remaining": found.moving,
        "expected_end": expected_end(found, rate),
        "deferred": [asdict(one) for one in found.deferred],
        "waiting": waiting(found),
    }


def expected_end(found: Progress, rate: float) -> datetime | None:
    """When everybody will have been sent to who was not put off, at this rate; None when nothing moves."""
    if found.is_over or not found.moving or rate <= 0:
        return None
    return found.at + timedelta(seconds=found.moving / rate)


def rest_after(taken: float) -> float:
    """How long to do nothing after a look that took so many seconds."""
    return max(LOOK_EVERY_SECONDS - taken, _REST_TO_LOOK * taken)


def _looks(
    context: Context, slug: str, sleep: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Progress, float]]:
    pace = Pace()
    while True:
        began = time.monotonic()
        try:
            with context.db.reading() as session:
                found = delivery.progress(session, context, slug)
        except Unavailable as error:
            # A database that is started again is back in a moment.
            err.print(str(error), markup=False)
        else:
            pace.note(began, found.done)
            yield found, pace.rate
            if found.is_over:
                return
        sleep(rest_after(time.monotonic() - began))


def _line(found: Progress, rate: float) -> str:
    outcomes = ", ".join(f"{name} {n:,}" for name, n in found.status["outcomes"].items() if n)
    ends = expected_end(found, rate)
    parts = [
        f"{found.at:%H:%M:%S} {found.status['slug']}: {found.status['state']}",
        outcomes or "nobody yet",
        f"{rate:,.0f}/s",
        f"until about {ends:%H:%M:%S} UTC" if ends else "",
        *reasons(found),
    ]
    return "; ".join(part for part in parts if part)


def _view(found: Progress, rate: float) -> Group:
    audience = found.status["audience"]
    ends = expected_end(found, rate)
    head = Text(f"{found.status['slug']}: {found.status['state']}", style="bold")
    head.append(f"   {found.done:,} of {audience:,}   {rate:,.0f} a second", style="not bold")
    if ends:
        left = str(ends - found.at).partition(".")[0]
        head.append(f"   {left} left, until {ends:%H:%M:%S} UTC", style="not bold")
    # The bar alone ends no line; what pads it does.
    bar = Padding(ProgressBar(audience or 1, found.done, width=_BAR_WIDTH))
    parts: list[Any] = [head, bar]
    parts += [Text(f"  {name} {n:,}") for name, n in found.status["outcomes"].items() if n]
    if found.deferred:
        parts.append(_deferred(found))
    parts += [Text(f"waits: {reason}", style="yellow") for reason in reasons(found)]
    return Group(*parts)


def _deferred(found: Progress) -> Table:
    table = Table("put off by", "people", "next attempt (UTC)", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for one in found.deferred:
        next_at = f"{one.next_at:%Y-%m-%d %H:%M}" if one.next_at else ""
        table.add_row(Text(one.domain), f"{one.people:,}", next_at)
    return table


def waiting(found: Progress) -> list[dict[str, Any]]:
    """What a campaign waits for, for a program."""
    return [asdict(one) for one in found.waiting]


def reasons(found: Progress) -> list[str]:
    """The same for a person."""
    return [
        (f"{one.scope}: " if one.scope else "")
        + one.why
        + (f", until {one.until:%Y-%m-%d %H:%M:%S} UTC" if one.until else "")
        for one in found.waiting
    ]
