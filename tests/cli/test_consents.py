"""prefcentre consents, as people type it."""

import sqlalchemy as sa

from prefcentre.consent import service
from prefcentre.consent.service import Act, Channel, ConsentAction
from prefcentre.context import Context
from prefcentre.testing.makers import make_person, make_topic
from tests.conftest import Cli


def tell_a_story(context: Context) -> None:
    with context.db.writing() as session:
        topic = make_topic(session, context, "news")
        ada = make_person(session, context, "ada@example.org")
        wording = service.current_wording(session, topic.id or 0, "en")
        acts = [
            Act(
                subscriber_id=ada.id or 0,
                subscriber_ref=ada.consent_ref,
                topic_id=topic.id or 0,
                channel=Channel.EMAIL,
                action=ConsentAction(action),
                method="preference_page",
                source="/p",
                at=context.clock.now(),
                wording_id=wording.id,
            )
            for action in ("granted", "withdrawn")
        ]
        service.record(session, context, acts)


def test_a_history_tells_who_agreed_to_what_when_and_how(context: Context, cli: Cli) -> None:
    tell_a_story(context)
    events = cli("consents", "history", "ADA@example.org", "--json").ok().json["events"]
    assert [event["action"] for event in events] == ["granted", "withdrawn"]
    first = events[0]
    assert {name: first[name] for name in ("seq", "topic", "channel", "method", "source")} == {
        "seq": 1,
        "topic": "news",
        "channel": "email",
        "method": "preference_page",
        "source": "/p",
    }
    assert first["at"] == "2026-11-02T10:00:00+00:00"
    assert first["wording"] == "Yes, send me News."
    shown = cli("consents", "history", "ada@example.org").ok().stdout
    assert "granted → granted  news by email  preference_page: /p" in shown
    assert "“Yes, send me News.” (version 1)" in shown


def test_an_unknown_person_is_told(context: Context, cli: Cli) -> None:
    answer = cli("consents", "history", "eve@example.org", "--json")
    assert (answer.code, answer.stdout) == (1, "")
    assert "no subscriber with this address" in answer.stderr


def test_a_whole_ledger_is_verified(context: Context, cli: Cli) -> None:
    tell_a_story(context)
    found = cli("consents", "verify", "--json").ok().json
    assert (found["ok"], found["events"], found["first_bad"], found["problem"]) == (
        True,
        2,
        None,
        None,
    )
    assert "2 events, all as they were sealed" in cli("consents", "verify").ok().stdout


def test_a_ledger_that_was_tampered_with_is_refused_with_the_first_bad_event(
    context: Context, cli: Cli
) -> None:
    tell_a_story(context)
    with context.db.writing() as session:
        session.execute(sa.text("UPDATE consent_event SET method = 'import' WHERE seq = 2"))
    answer = cli("consents", "verify", "--json")
    assert answer.code == 1
    assert (answer.json["ok"], answer.json["first_bad"], answer.json["problem"]) == (
        False,
        2,
        "changed",
    )
    assert "Event 2 was changed after it was sealed." in answer.stderr


def test_consents_that_were_tampered_with_are_made_anew_from_the_events(
    context: Context, cli: Cli
) -> None:
    tell_a_story(context)
    with context.db.writing() as session:
        session.execute(sa.text("UPDATE consent SET state = 'granted'"))
    found = cli("consents", "verify", "--json")
    assert (found.code, found.json["problem"]) == (1, "projection")
    assert cli("consents", "rebuild", "--json").ok().json == {"consents": 1}
    assert cli("consents", "verify", "--json").ok().json["ok"] is True


def test_a_receipt_tells_the_words_and_the_seal(context: Context, cli: Cli) -> None:
    tell_a_story(context)
    asked = ("consents", "receipt", "ada@example.org", "--topic", "news", "--channel", "email")
    (found,) = cli(*asked, "--json").ok().json["receipts"]
    assert found["record"]["wording"]["text"] == "Yes, send me News."
    assert found["record"]["state"] == "withdrawn"
    told = cli(*asked).ok().stdout
    assert "words: “Yes, send me News.” (version 1, en)" in told
    assert cli("consents", "receipt", "eve@example.org").code == 1
    assert cli("consents", "receipt", "ada@example.org", "--topic", "nothing").code == 1
    assert "no consent" in cli("consents", "receipt", "ada@example.org", "--channel", "post").stdout
