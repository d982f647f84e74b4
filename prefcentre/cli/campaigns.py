"""prefcentre campaigns: look at campaigns, try them out, send them and see what became of them."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.cli.common import JsonOption, answer, err, opened, out
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import InvalidInput

app = typer.Typer(help="Campaigns: check, plan, try, send, report.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="The campaign's name: its folder under campaigns/.")]
_LOOK_AGAIN_SECONDS = 0.5
_OVER = {CampaignState.FINISHED, CampaignState.CANCELLED, CampaignState.HELD}


@app.command("list")
def list_campaigns(*, as_json: JsonOption = False) -> None:
    """List what is in the database and what is only in files."""
    with opened() as context:
        with context.db.reading() as session:
            known = {
                campaign.slug: {
                    "slug": campaign.slug,
                    "state": campaign.state.value,
                    "start_at": campaign.start_at,
                    "audience": campaign.audience,
                }
                for campaign in campaigns.list_all(session)
            }
        for slug in campaigns.campaign_slugs(context.settings):
            known.setdefault(
                slug, {"slug": slug, "state": "files only", "start_at": None, "audience": None}
            )
    text = "\n".join(f"{row['slug']}: {row['state']}" for row in known.values())
    answer(as_json, {"campaigns": list(known.values())}, text or "There are no campaigns yet.")


@app.command()
def check(slug: Slug, *, as_json: JsonOption = False) -> None:
    """Compile a campaign and say what would keep it from going out. Exits with 1 when something would."""
    with opened() as context, context.db.reading() as session:
        checked = delivery.check(session, context, slug)
    findings = [
        {"level": finding.level, "name": finding.name, "message": finding.message}
        for finding in checked.findings
    ]
    warnings = [f"{found.level}: {found.message} ({found.name})" for found in checked.warnings]
    ready = [] if checked.errors else [f"“{slug}” is ready to go."]
    answer(
        as_json,
        {"slug": slug, "ok": not checked.errors, "findings": findings},
        "\n".join([*warnings, *ready]),
    )
    checked.require_clean()


@app.command()
def plan(slug: Slug, *, as_json: JsonOption = False) -> None:
    """Show who would get a campaign now, and who would not and why. Writes nothing."""
    with opened() as context, context.db.reading() as session:
        found = delivery.plan_campaign(session, context, slug)
    if as_json:
        answer(as_json, found.as_json())
    else:
        _print_waterfall(found)


@app.command("test")
def send_test(
    slug: Slug,
    *,
    to: Annotated[str, typer.Option("--to", help="The address that gets the mail.")],
    as_json: JsonOption = False,
) -> None:
    """Send one marked mail to one address, through the same gate as everything else."""
    with opened() as context:
        with context.db.reading() as session:
            checked = delivery.check(session, context, slug)
        checked.require_clean()
        found = delivery.send_test(context, checked, to)
    words = (
        "The mail server took the test mail."
        if found.accepted
        else "The mail server refused the test mail:"
    )
    answer(
        as_json,
        {"slug": slug, "accepted": found.accepted, "code": found.code, "text": found.text},
        f"{words} {found.code} {found.text}",
    )
    raise typer.Exit(0 if found.accepted else 1)


@app.command()
def start(
    slug: Slug,
    *,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="When: 2026-12-01T09:00+02:00 or “2026-12-01 09:00 Europe/Sofia”. Default: now.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until every recipient has an outcome.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Give a campaign its time: now, or --at. It is sent by a running worker; with --wait also without one."""
    start_at, zone = _read_time(at)
    with opened() as context:
        with context.db.reading() as session:
            checked = delivery.check(session, context, slug)
        with context.db.writing() as session:
            delivery.start(session, context, checked, start_at, zone)
        if wait:
            _wait(context, slug, show=err.is_terminal and not as_json)
        elif not _has_worker(context):
            err.print("No worker is running. Start “prefcentre run” to send it.")
        with context.db.reading() as session:
            found = delivery.status(session, slug)
    answer(as_json, found, _status_text(found))


@app.command()
def pause(slug: Slug, *, as_json: JsonOption = False) -> None:
    """Stop a campaign for now. What has not passed the gate stays where it is."""
    with opened() as context:
        with context.db.writing() as session:
            campaigns.pause(session, slug)
        _answer_status(context, slug, as_json=as_json)


@app.command()
def resume(slug: Slug, *, as_json: JsonOption = False) -> None:
    """Let a paused or held campaign go on."""
    with opened() as context:
        with context.db.writing() as session:
            campaigns.resume(session, slug)
        _answer_status(context, slug, as_json=as_json)


@app.command()
def cancel(slug: Slug, *, as_json: JsonOption = False) -> None:
    """End a campaign. What has not passed the gate is never sent."""
    with opened() as context:
        with context.db.writing() as session:
            campaign_id = campaigns.cancel(session, context, slug).id or 0
        more = True
        while more:
            with context.db.writing() as session:
                more = delivery.cancel_rest(session, campaign_id)
        _answer_status(context, slug, as_json=as_json)


@app.command()
def status(slug: Slug, *, as_json: JsonOption = False) -> None:
    """Show where a campaign stands."""
    with opened() as context:
        _answer_status(context, slug, as_json=as_json)


@app.command()
def report(slug: Slug, *, as_json: JsonOption = False) -> None:
    """Show what became of everybody, with opens, clicks, unsubscribes and bounces by class."""
    with opened() as context, context.db.reading() as session:
        found = delivery.report(session, context, slug)
    if as_json:
        answer(as_json, found)
        return
    out.print(_status_text(found), markup=False)
    for name in ("opens", "clicks", "unsubscribes", "bounces", "complaints"):
        parts = ", ".join(f"{kind} {count}" for kind, count in found[name].items()) or "none"
        out.print(f"{name}: {parts}", markup=False)


def _read_time(at: str | None) -> tuple[Any, str | None]:
    if at is None:
        return None, None
    try:
        return campaigns.read_time(at)
    except InvalidInput as error:
        raise typer.BadParameter(str(error), param_hint="--at") from error


def _answer_status(context: Context, slug: str, *, as_json: bool) -> None:
    with context.db.reading() as session:
        found = delivery.status(session, slug)
    answer(as_json, found, _status_text(found))


def _wait(context: Context, slug: str, *, show: bool) -> None:
    """Stay until a campaign is over; while no worker is there, be one."""
    from prefcentre import app as processes

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not show) as progress:
        bar = progress.add_task(escape(slug), total=None)

        def is_over() -> bool:
            if show:
                total, completed = _progress(context, slug)
                progress.update(bar, total=total, completed=completed)
            with context.db.reading() as session:
                return campaigns.get(session, slug).state in _OVER

        while not is_over():
            if _has_worker(context):
                time.sleep(_LOOK_AGAIN_SECONDS)
                continue
            processes.run_worker(context, until=is_over)
            if not is_over():
                # The worker's own handler took the signal, so it is passed on here.
                err.print("Stopped. The campaign goes on when a worker runs.")
                raise KeyboardInterrupt


def _has_worker(context: Context) -> bool:
    with context.db.reading() as session:
        return delivery.live_workers(session, context) > 0


def _progress(context: Context, slug: str) -> tuple[int | None, int]:
    with context.db.reading() as session:
        found = delivery.status(session, slug)
    left = sum(
        found["outcomes"][state] for state in ("pending", "claimed", "handing_off", "deferred")
    )
    return found["audience"] or None, found["audience"] - left


def _status_text(found: Mapping[str, Any]) -> str:
    outcomes = ", ".join(f"{state} {count}" for state, count in found["outcomes"].items() if count)
    lines = [f"{found['slug']}: {found['state']}, audience {found['audience']}"]
    if found["held_reason"]:
        lines.append(
            f"held: {found['held_reason']}; “prefcentre campaigns start {found['slug']}” sends it after all"
        )
    if found["state"] == "scheduled":
        lines.append(f"starts at {found['start_at']}")
    if outcomes:
        lines.append(outcomes)
    lines += [f"  {reason}: {count}" for reason, count in found["reasons"].items()]
    return "\n".join(lines)


def _print_waterfall(found: delivery.Plan) -> None:
    table = Table(box=None, show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_row("people", f"{found.people:,}")
    for reason, count in found.left_out.items():
        table.add_row(f"  {reason.value.replace('_', ' ')}", f"−{count:,}")
    table.add_row("audience", f"{found.audience:,}")
    out.print(table)
