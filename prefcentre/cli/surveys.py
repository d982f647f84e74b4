"""prefcentre surveys: list them, open and close them, and see what came of them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from prefcentre.cli.common import JsonOption, answer, opened, staff
from prefcentre.surveys import service
from prefcentre.surveys.service import Report, Survey

app = typer.Typer(help="Surveys and what people answered.", no_args_is_help=True)

NumberArgument = Annotated[int, typer.Argument(help="The survey's number in the list.")]


@app.command(name="list")
def list_(*, as_json: JsonOption = False) -> None:
    """List all surveys, the newest first."""
    with opened() as context, context.db.reading() as session:
        counts = service.counts(session)
        found = [_survey(one, counts.get(one.id or 0, 0)) for one in service.every(session)]
    lines = [
        f"{one['survey']}  {one['title']}: {one['state']}, {one['people']:,} answered"
        for one in found
    ]
    answer(as_json, {"surveys": found}, "\n".join(lines) or "There is no survey yet.")


@app.command()
def show(number: NumberArgument, *, as_json: JsonOption = False) -> None:
    """Show what was answered, without names; people whose data is restricted are left out."""
    with opened() as context, context.db.reading() as session:
        found = service.report(session, number)
        data = _survey(found.survey, found.people) | {"results": _results(found)}
    answer(as_json, data, _words(found))


@app.command(name="open")
def open_(
    number: NumberArgument,
    *,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm", help="Questions that look special (art. 9) are not, or may be asked."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a draft be answered; its questions stay as they are from then on."""
    with opened() as context, context.db.writing() as session:
        service.open_(session, context, number, staff(), confirmed=confirm)
    answer(as_json, {"survey": number, "state": "open"}, f"Survey {number} is open.")


@app.command()
def close(number: NumberArgument, *, as_json: JsonOption = False) -> None:
    """Take no more answers."""
    with opened() as context, context.db.writing() as session:
        service.close(session, context, number, staff())
    answer(as_json, {"survey": number, "state": "closed"}, f"Survey {number} is closed.")


@app.command()
def export(
    number: NumberArgument,
    *,
    out: Annotated[Path, typer.Option(help="The file to write; there must be none yet.")],
    as_json: JsonOption = False,
) -> None:
    """Write what was answered into a table (CSV), without names; that it was taken is noted."""
    with opened() as context:
        with context.db.writing() as session:
            found = service.take(session, context, number, staff())
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(service.as_csv(found))
    data = {"survey": number, "people": found.people, "file": str(out)}
    answer(as_json, data, f"{out}: what {found.people:,} people answered.")


def _survey(one: Survey, people: int) -> dict[str, Any]:
    return {
        "survey": one.id,
        "title": one.title,
        "state": one.state.value,
        "questions": len(one.questions),
        "people": people,
        "opened_at": one.opened_at.isoformat() if one.opened_at else None,
        "closed_at": one.closed_at.isoformat() if one.closed_at else None,
    }


def _results(found: Report) -> list[dict[str, Any]]:
    return [
        {
            "question": one.question.text,
            "kind": one.question.kind.value,
            "answered": one.answered,
            "counts": dict(one.counts),
            "average": one.average,
            "texts": list(one.texts),
        }
        for one in found.results
    ]


def _words(found: Report) -> str:
    lines = [f"{found.survey.title}: {found.survey.state}, {found.people:,} answered"]
    for one in found.results:
        lines.append(f"\n{one.question.text}")
        lines += [f"  {people:>6,}  {option}" for option, people in one.counts.items()]
        lines += [f"  {one.average:.1f} on average"] if one.average is not None else []
        lines += [f"  {said}" for said in one.texts]
    return "\n".join(lines)
