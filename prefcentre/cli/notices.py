"""prefcentre notices: what people are told when the privacy policy, or what a topic is about, changes."""

from typing import Annotated, Any

import typer
from sqlmodel import Session

from prefcentre.campaigns import service as campaigns
from prefcentre.cli.common import JsonOption, answer, opened, staff
from prefcentre.consent.service import Topic
from prefcentre.notices import service as notices
from prefcentre.notices.service import Notice

app = typer.Typer(help="Notices of changes to the policy and to topics.", no_args_is_help=True)

_Number = Annotated[int, typer.Argument(help="The notice's number in the list.")]


@app.command(name="list")
def list_(*, as_json: JsonOption = False) -> None:
    """List the notices, the newest first, and how far each has got."""
    with opened() as context, context.db.reading() as session:
        found = [_notice(session, *row) for row in notices.every(session)]
    lines = [_line(notice) for notice in found]
    answer(as_json, {"notices": found}, "\n".join(lines) or "There are no notices yet.")


@app.command()
def show(number: _Number, *, as_json: JsonOption = False) -> None:
    """Show one notice with its words in every language, and what became of telling people."""
    with opened() as context, context.db.reading() as session:
        notice = notices.get(session, number)
        data = _notice(session, notice, notices.topic_of(session, notice))
        data["texts"] = dict(notice.texts)
    words = [f"{language}: {text['summary']}" for language, text in data["texts"].items()]
    people = [f"{state}: {count:,}" for state, count in data["people"].items() if count]
    answer(as_json, data, "\n".join([_line(data), *words, *people]))


@app.command()
def publish(number: _Number, *, as_json: JsonOption = False) -> None:
    """Publish a draft: pages point at it, and everybody concerned is told. It can't be taken back."""
    with opened() as context, context.db.writing() as session:
        notice = notices.publish(
            session, context, number, staff(), sent_now=campaigns.sent_now(session)
        )
        data = _notice(session, notice, notices.topic_of(session, notice))
    told = "Old consents to the topic end, and people are asked again. " if data["renews"] else ""
    answer(as_json, data, f"Notice {number} is published. {told}Everybody concerned is told.")


def _notice(session: Session, notice: Notice, topic: Topic | None) -> dict[str, Any]:
    people = notices.progress(session, notice.id or 0)
    return {
        "number": notice.id,
        "about": notices.about(notice, topic),
        "renews": notice.renews,
        "state": notice.state.value,
        "holds_from": notice.holds_from.isoformat(),
        "policy_version": notice.policy_version,
        "wording_versions": dict(notice.wording_versions),
        "published_at": notice.published_at,
        "banner_until": notice.banner_until,
        "languages": list(notice.texts),
        "people": {state.value: count for state, count in people.items()},
    }


def _line(notice: dict[str, Any]) -> str:
    told = f"{notice['people']['sent']:,} of {sum(notice['people'].values()):,} told by mail"
    renews = "  asks for consent anew" if notice["renews"] else ""
    return (
        f"{notice['number']}  {notice['about']}  {notice['state']}  from {notice['holds_from']}"
        f"{renews}  ({told})"
    )
