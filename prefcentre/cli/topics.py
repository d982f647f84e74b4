"""prefcentre topics: what people can subscribe to, from a file."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from prefcentre.cli.common import JsonOption, answer, opened
from prefcentre.consent import service as consent
from prefcentre.consent.service import AppliedTopics

app = typer.Typer(help="What people can subscribe to.", no_args_is_help=True)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="A topics.toml with one [[topic]] for each topic.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Bring the topics in line with a file. Safe to run again; a topic that is not in it is kept."""
    with opened() as context, context.db.writing() as session:
        done = consent.apply_topics(session, context, file)
    answer(as_json, asdict(done), _told(done))


@app.command(name="list")
def list_(*, as_json: JsonOption = False) -> None:
    """List the topics, the version of their words in each language, and how many consents stand, by channel."""
    with opened() as context, context.db.reading() as session:
        granted = consent.granted_by_channel(session)
        versions = consent.wording_versions(session)
        found = [
            _topic(topic, granted.get(topic.id or 0, {}), versions.get(topic.id or 0, {}))
            for topic in consent.topics(session)
        ]
    lines = [_line(topic) for topic in found]
    answer(as_json, {"topics": found}, "\n".join(lines) or "There are no topics yet.")


def _told(done: AppliedTopics) -> str:
    parts = {"Added": done.added, "Changed": done.changed, "Unchanged": done.unchanged}
    lines = [f"{name}: {', '.join(keys)}." for name, keys in parts.items() if keys]
    if done.new_wordings:
        lines.append(f"New wordings: {done.new_wordings}.")
    if done.kept:
        lines.append(f"Not in this file, and kept as they are: {', '.join(done.kept)}.")
    return "\n".join(lines)


def _topic(
    topic: consent.Topic, counts: dict[consent.Channel, int], versions: dict[str, int]
) -> dict[str, Any]:
    return {
        "key": topic.key,
        "name": topic.name,
        "description": topic.description,
        "channels": topic.channels,
        "lawful_basis": topic.lawful_basis.value,
        "double_opt_in": topic.double_opt_in,
        "list_label": topic.list_label,
        "implied_months": topic.implied_months,
        "texts": dict(topic.texts),
        "wording_versions": dict(sorted(versions.items())),
        "granted": {
            channel.value: counts.get(channel, 0)
            for channel in consent.Channel
            if channel.value in topic.channels or channel in counts
        },
    }


def _line(topic: dict[str, Any]) -> str:
    counts = ", ".join(f"{channel} {people:,}" for channel, people in topic["granted"].items())
    words = ", ".join(f"{name} {version}" for name, version in topic["wording_versions"].items())
    return f"{topic['key']}  {topic['name']}  ({counts})  words: {words or 'none'}"
