"""prefcentre tracking: judge opens and clicks anew, and check what was counted of them."""

from typing import Annotated

import typer

from prefcentre.campaigns import service as campaigns
from prefcentre.cli.common import JsonOption, answer, opened
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.tracking import service as tracking

app = typer.Typer(help="Opens and clicks: judge them anew, check the counts.", no_args_is_help=True)

Slug = Annotated[
    str | None, typer.Argument(help="The campaign's name. Default: all that have hits.")
]


@app.command()
def recompute(slug: Slug = None, *, as_json: JsonOption = False) -> None:
    """Judge all opens and clicks again by the rules of this version, and count them anew.

    How many there are never changes, only what they are taken for. May be broken off and begun again.
    """
    with opened() as context:
        changed = {name: delivery.recompute_hits(context, name) for name in _names(context, slug)}
    lines = [f"{name}: {count:,} are taken for something else" for name, count in changed.items()]
    answer(
        as_json,
        {"campaigns": [{"slug": name, "changed": count} for name, count in changed.items()]},
        "\n".join(lines) or "Nobody has opened or clicked anything yet.",
    )


@app.command()
def verify(slug: Slug = None, *, as_json: JsonOption = False) -> None:
    """Count all opens and clicks again and compare. Exits with 1 when the counts of reports are not what the rows say."""
    found: dict[str, list[str]] = {}
    with opened() as context:
        delivery.settle_hits(context)
        for name in _names(context, slug):
            with context.db.reading() as session:
                campaign_id = campaigns.get(session, name).id or 0
            with context.db.tracking_reading() as session:
                found[name] = tracking.differences(session, campaign_id)
    wrong = [f"{name}: {words}" for name, several in found.items() for words in several]
    campaign = "campaign" if len(found) == 1 else "campaigns"
    text = f"The counts of {len(found):,} {campaign} are what the rows say."
    if wrong:
        text = "\n".join([*wrong, "Run “prefcentre tracking rebuild” to count them anew."])
    listed = [{"slug": name, "differences": several} for name, several in found.items()]
    answer(as_json, {"ok": not wrong, "campaigns": listed}, text)
    raise typer.Exit(1 if wrong else 0)


@app.command()
def rebuild(slug: Slug = None, *, as_json: JsonOption = False) -> None:
    """Throw the counts away and make them again from the rows."""
    with opened() as context:
        names = _names(context, slug)
        hits = {name: delivery.rebuild_hits(context, name) for name in names}
    lines = [f"{name}: {count:,} opens and clicks counted" for name, count in hits.items()]
    answer(
        as_json,
        {"campaigns": [{"slug": name, "hits": count} for name, count in hits.items()]},
        "\n".join(lines) or "Nobody has opened or clicked anything yet.",
    )


def _names(context: Context, slug: str | None) -> list[str]:
    with context.db.reading() as session:
        if slug is not None:
            return [campaigns.get(session, slug).slug]
        known = {one.id: one.slug for one in campaigns.list_all(session)}
    with context.db.tracking_reading() as session:
        return [
            known[number] for number in tracking.campaigns_with_hits(session) if number in known
        ]
