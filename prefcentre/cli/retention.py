"""prefcentre retention: how long data is kept, and what is too old."""

from typing import Any

import typer

from prefcentre.cli.common import JsonOption, answer, opened
from prefcentre.rights import service as rights
from prefcentre.rights.service import Cleared

app = typer.Typer(help="How long data is kept, and what is too old.", no_args_is_help=True)


@app.command()
def plan(*, as_json: JsonOption = False) -> None:
    """Show every rule and what it would remove today; removes nothing."""
    with opened() as context:
        rules = {rule.name: rule for rule in rights.rules_of(context.settings)}
        found = {one.rule.name: one for one in rights.plan_retention(context)}
    data: list[dict[str, Any]] = [
        {
            "rule": name,
            "what": rule.what,
            "days": rule.days,
            "before": found[name].before if name in found else None,
            "found": found[name].found if name in found else 0,
        }
        for name, rule in rules.items()
    ]
    lines = [
        f"{one['rule']:22}{_days(one['days']):>12}  {one['found']:>9,}  {one['what']}"
        for one in data
    ]
    answer(as_json, {"rules": data}, "\n".join(lines))


@app.command()
def run(*, as_json: JsonOption = False) -> None:
    """Remove what is too old now, as a worker does every day."""
    with opened() as context:
        done = rights.run_retention(context)
        rights.finish(context)
    data = [_data(one) for one in done]
    lines = [
        f"{one['rule']}: {one['removed']:,} of {one['found']:,}" for one in data if one["found"]
    ]
    answer(as_json, {"rules": data}, "\n".join(lines) or "Nothing was too old.")


@app.command()
def log(*, as_json: JsonOption = False) -> None:
    """Show what was removed lately, the newest first."""
    with opened() as context, context.db.reading() as session:
        found = [
            {
                "at": one.at,
                "rule": one.rule,
                "before": one.before,
                "found": one.found,
                "removed": one.removed,
            }
            for one in rights.newest_runs(session)
        ]
    lines = [f"{one['at']:%Y-%m-%d %H:%M}  {one['rule']:22}{one['removed']:>9,}" for one in found]
    answer(as_json, {"runs": found}, "\n".join(lines) or "Nothing was looked at yet.")


def _data(one: Cleared) -> dict[str, Any]:
    return {
        "rule": one.rule.name,
        "before": one.before,
        "found": one.found,
        "removed": one.removed,
    }


def _days(days: int | None) -> str:
    return "for ever" if days is None else f"{days:,} days"
