"""prefcentre campaigns: look at campaigns, try them out, send them and see what became of them."""

import getpass
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from prefcentre import addresses
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import CampaignState
from prefcentre.cli import campaign_texts, watching
from prefcentre.cli.common import JsonOption, answer, err, opened, out
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Decision, Unknown
from prefcentre.errors import InvalidInput
from prefcentre.reporting import service as reporting

app = typer.Typer(help="Campaigns: check, plan, try, send, report.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="The campaign's name: its folder under campaigns/.")]
app.command("pull")(campaign_texts.pull)
app.command("apply")(campaign_texts.apply)
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
    """Compile a campaign and say what would keep it from going out. Exits with 1 when something would.

    Its variables are tried with its whole audience, and its links are tried when mail leaves this machine.
    """
    from prefcentre.checks import service as checks

    with opened() as context, _people_tried(show=err.is_terminal and not as_json) as tell:
        checked, items = checks.check(context, slug, tell=tell)
    findings = [
        {"level": finding.level, "name": finding.name, "message": finding.message}
        for finding in checked.findings
    ]
    warnings = [f"{found.level}: {found.message} ({found.name})" for found in checked.warnings]
    ready = [] if checked.errors else [f"“{slug}” is ready to go."]
    answer(
        as_json,
        {
            "slug": slug,
            "ok": not checked.errors,
            "findings": findings,
            "checks": [item.as_json() for item in items],
        },
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
    from prefcentre.checks import service as checks

    start_at, zone = _read_time(at)
    with opened() as context:
        checked = checks.for_start(context, slug)
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
def status(
    slug: Slug,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it, each second until it is over.")
    ] = False,
    show_addresses: Annotated[
        bool, typer.Option("--show-addresses", help="Show the addresses of uncertain mails whole.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show where a campaign stands, and of which mails nobody knows whether they arrived.

    With --watch it goes on, once a second, until the campaign is over or Ctrl-C is pressed; with --json too, an object a line.
    """
    with opened() as context:
        if watch:
            watching.watch(context, slug, as_json=as_json)
            return
        with context.db.reading() as session:
            progress = delivery.progress(session, context, slug)
            uncertain = delivery.unknowns(session, context, slug)
    found = {**progress.status, "waiting": watching.waiting(progress)}
    found["unknown"] = [_uncertain(one, whole=show_addresses) for one in uncertain]
    waits = [f"waits: {reason}" for reason in watching.reasons(progress)]
    answer(as_json, found, "\n".join([_status_text(found), *waits, *_uncertain_lines(found)]))


@app.command("resolve-unknown")
def resolve_unknown(
    slug: Slug,
    *,
    resend: Annotated[
        bool, typer.Option("--resend", help="Send them again; each may arrive a second time.")
    ] = False,
    accept: Annotated[bool, typer.Option("--accept", help="Take them as delivered.")] = False,
    deliveries: Annotated[
        list[int] | None,
        typer.Option(
            "--delivery", help="Only this one, by its number in “status”; may be said again."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before sending again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Decide about mails of which nobody knows whether they arrived, all or some. Mails on their way are not touched.

    What waits for its answer is none of them: it gets the answer, or becomes uncertain when the connection breaks.
    """
    if resend == accept:
        raise typer.BadParameter("say one of --resend and --accept")
    decision = Decision.RESEND if resend else Decision.ACCEPT
    only = tuple(deliveries or ())
    with opened() as context:
        count = _uncertain_count(context, slug, only)
        if decision is Decision.RESEND and count and not yes and sys.stdin.isatty():
            question = f"Send {count:,} mails again? Each of them may have arrived already."
            typer.confirm(question, abort=True, err=True)
        settled, more = 0, count > 0
        while more:
            with context.db.writing() as session:
                some = delivery.settle_unknowns(session, context, slug, decision, _who(), only)
            settled, more = settled + some, some > 0
        with context.db.reading() as session:
            found = delivery.status(session, slug)
    words = "sent again" if resend else "taken as delivered"
    answer(
        as_json,
        found | {"decision": decision, "settled": settled},
        f"{settled:,} uncertain mails are {words}.\n{_status_text(found)}",
    )


@app.command()
def report(slug: Slug, *, as_json: JsonOption = False) -> None:
    """Show what became of everybody, with opens, clicks, unsubscribes and bounces by class."""
    with opened() as context, context.db.reading() as session:
        found = reporting.report(session, context, slug)
    if as_json:
        answer(as_json, found)
        return
    out.print(_status_text(found), markup=False)
    for name in ("opens", "clicks", "unsubscribes", "bounces", "bounce_reasons", "complaints"):
        parts = ", ".join(f"{kind} {count}" for kind, count in found[name].items()) or "none"
        out.print(f"{name.replace('_', ' ')}: {parts}", markup=False)


@contextmanager
def _people_tried(*, show: bool) -> Iterator[Callable[[int, int], bool]]:
    """Shows how many people of the audience the campaign was tried with."""
    columns = (TextColumn("Trying every variable"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, disable=not show, transient=True) as progress:
        bar = progress.add_task("", total=None)

        def tell(done: int, total: int) -> bool:
            progress.update(bar, completed=done, total=total)
            return True

        yield tell


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


def _uncertain_count(context: Context, slug: str, only: tuple[int, ...]) -> int:
    with context.db.writing() as session:
        # A sender that died is told of by nobody while no other one runs, and what it held is uncertain as well.
        delivery.recover(session, context)
        return delivery.unknown_count(session, slug, only)


def _uncertain(found: Unknown, *, whole: bool) -> dict[str, Any]:
    address = found.email if whole or found.email is None else addresses.parse(found.email).masked
    return {
        "delivery": found.delivery,
        "email": address,
        "attempts": found.attempts,
        "at": found.at,
        "what": found.what,
        "message_id": found.message_id,
    }


def _uncertain_lines(found: Mapping[str, Any]) -> list[str]:
    if not found["unknown"]:
        return []
    count, shown = found["outcomes"]["unknown"], found["unknown"]
    first = f", the first {len(shown)} of them" if count > len(shown) else ""
    lines = [f"Nobody knows whether {count:,} of these mails arrived{first}:"]
    lines += [
        f"  {one['delivery']}  {one['email'] or '(erased)'}  {one['at']:%Y-%m-%d %H:%M:%S} UTC"
        f"  {one['message_id']}  {one['what']}"
        for one in shown
    ]
    command = f"prefcentre campaigns resolve-unknown {found['slug']}"
    return [
        *lines,
        f"Look for the Message-ID in the mail server's log, then run “{command}” with --accept or --resend.",
    ]


def _who() -> str:
    # Not every container has a name for the user it runs as.
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"


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
