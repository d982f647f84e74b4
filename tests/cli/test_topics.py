"""prefcentre topics, as people type it."""

from pathlib import Path

import pytest

from prefcentre.context import Context
from prefcentre.testing.makers import Cast
from tests.conftest import Cli

TOPICS = """
[[topic]]
key = "weekly"
name = "Weekly letter"
description = "Every Friday."
channels = ["email", "post"]
lawful_basis = "consent"
double_opt_in = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "topics.toml"
    path.write_text(TOPICS)
    return path


def test_topics_are_applied_and_listed(context: Context, cli: Cli, file: Path) -> None:
    done = cli("topics", "apply", file, "--json").ok().json
    assert done == {
        "added": ["weekly"],
        "changed": [],
        "unchanged": [],
        "kept": [],
        "new_wordings": 1,
    }
    assert cli("topics", "apply", file, "--json").ok().json["unchanged"] == ["weekly"]
    (topic,) = cli("topics", "list", "--json").ok().json["topics"]
    assert (topic["key"], topic["list_label"], topic["granted"]) == (
        "weekly",
        "weekly",
        {"email": 0, "post": 0},
    )


def test_the_list_counts_who_agreed_and_not_who_has_yet_to_confirm(cast: Cast, cli: Cli) -> None:
    counts = {
        topic["key"]: topic["granted"]
        for topic in cli("topics", "list", "--json").ok().json["topics"]
    }
    # Ada and Dan agreed; Ben has not confirmed and Cleo has left.
    assert counts == {"product-news": {"email": 2, "post": 0}, "events": {"email": 1, "sms": 0}}


def test_a_person_reads_what_changed(cast: Cast, cli: Cli, file: Path) -> None:
    told = cli("topics", "apply", file).ok().stdout
    assert "Added: weekly." in told
    assert "Not in this file, and kept as they are: events, product-news." in told
    assert (
        "weekly  Weekly letter  (email 0, post 0)  words: en 1" in cli("topics", "list").ok().stdout
    )


def test_a_mistake_in_the_file_is_told_and_changes_nothing(
    context: Context, cli: Cli, file: Path
) -> None:
    file.write_text(TOPICS + TOPICS.replace("weekly", "other").replace("post", "fax"))
    answer = cli("topics", "apply", file, "--json")
    assert (answer.code, answer.stdout) == (1, "")
    assert "topics.toml: topic “other”: channels.1: “fax” is not known" in answer.stderr
    assert cli("topics", "list", "--json").ok().json == {"topics": []}
