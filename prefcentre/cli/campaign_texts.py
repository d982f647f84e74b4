"""prefcentre campaigns pull, apply: what campaigns say, between the database and files."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import Change, Difference
from prefcentre.cli.common import JsonOption, answer, opened, staff

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would change, as a diff.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Take it even where the other side was changed as well.")
]
_WORDS = {
    Difference.SAME: "nothing differs",
    Difference.NEW: "new",
    Difference.CHANGED: "changed",
    Difference.BOTH: "changed on both sides; look at the diff, then say --force to take this side",
    Difference.LOCKED: "not a draft any more",
    Difference.WRONG: "can't be read",
}


def pull(
    slug: Annotated[str, typer.Argument(help="The campaign's name.")],
    *,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write what a campaign says from the database into its files under campaigns/."""
    with opened() as context, context.db.writing() as session:
        found = campaigns.pull_draft(session, context, slug, force=force, dry_run=dry_run)
    _answer([found], as_json=as_json, dry_run=dry_run)


def apply(
    slugs: Annotated[
        list[str] | None,
        typer.Argument(help="Only these campaigns; default: all under campaigns/."),
    ] = None,
    *,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take the files under campaigns/ into the database. Exits with 1 when some could not be taken."""
    with opened() as context, context.db.writing() as session:
        found = campaigns.apply_files(
            session, context, slugs or (), by=staff(), force=force, dry_run=dry_run
        )
    _answer(found, as_json=as_json, dry_run=dry_run)


def _answer(found: Sequence[Change], *, as_json: bool, dry_run: bool) -> None:
    lines = [f"{one.slug}: {one.problem or _WORDS[one.difference]}" for one in found]
    diffs = [one.diff for one in found if one.diff]
    answer(
        as_json,
        {"dry_run": dry_run, "campaigns": [_as_json(one) for one in found]},
        "\n".join([*lines, *diffs]) or "There are no campaigns under campaigns/.",
    )
    stuck = {Difference.BOTH, Difference.LOCKED, Difference.WRONG}
    raise typer.Exit(1 if any(one.difference in stuck for one in found) else 0)


def _as_json(change: Change) -> dict[str, Any]:
    return {
        "slug": change.slug,
        "difference": change.difference.value,
        "diff": change.diff,
        "problem": change.problem,
    }
