"""A receipt says in standard terms what a person agreed to, with the exact words and no empty field."""

from datetime import timedelta
from typing import Any

import pytest

from prefcentre.consent import service
from prefcentre.consent.service import Act, Channel, ConsentAction
from prefcentre.context import Context
from prefcentre.subscribers.service import Subscriber
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import make_person, make_topic

# ISO/IEC TS 27560:2023, as its mapping to the W3C vocabulary names them.
RECORD = {
    "schema_version",
    "record_id",
    "pii_principal_id",
    "receipt_id",
    "privacy_notice",
    "language",
}
PROCESSING = {
    "purpose",
    "pii_information",
    "pii_controllers",
    "storage_locations",
    "retention_period",
    "jurisdiction",
    "recipient_third_parties",
    "withdrawal_method",
    "lawful_basis",
    "privacy_rights",
    "collection_method",
}
PARTY = {"party_id", "party_name", "party_address", "party_contact", "party_type"}
EVENT = {"event_time", "validity_duration", "entity_id", "event_type", "event_state"}


class World:
    """Ada, who signed up, confirmed, and also agreed to letters."""

    def __init__(self, context: Context, clock: FrozenClock) -> None:
        self.context = context
        with context.db.writing() as session:
            self.news = make_topic(session, context, "news", channels=["email", "post"])
            self.ada = make_person(session, context, "ada@example.org", "Ada Lovelace")
            wording = service.current_wording(session, self.news.id or 0, "en")
            self.act(session, ConsentAction.REQUESTED, wording_id=wording.id, ip="192.0.2.1")
            clock.advance(minutes=5)
            self.act(session, ConsentAction.CONFIRMED, wording_id=wording.id, ip="192.0.2.2")
            self.act(session, ConsentAction.IMPORTED, channel=Channel.POST, method="import")

    def act(self, session: Any, action: ConsentAction, **fields: Any) -> None:
        values: dict[str, Any] = {
            "subscriber_id": self.ada.id,
            "subscriber_ref": self.ada.consent_ref,
            "topic_id": self.news.id,
            "channel": Channel.EMAIL,
            "action": action,
            "method": "form",
            "source": "/subscribe",
            "at": self.context.clock.now(),
        }
        service.record(session, self.context, [Act(**(values | fields))])

    def receipts(self, person: Subscriber | None = None, **how: Any) -> list[dict[str, Any]]:
        with self.context.db.reading() as session:
            found = service.receipts(session, self.context, person or self.ada, **how)
        return [receipt["record"] for receipt in found]


@pytest.fixture
def world(any_context: Context, clock: FrozenClock) -> World:
    return World(any_context, clock)


def empty_fields(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [
            found for key, inner in value.items() for found in empty_fields(inner, f"{path}.{key}")
        ]
    if isinstance(value, list):
        return [found for inner in value for found in empty_fields(inner, f"{path}[]")] or (
            [] if value else [path]
        )
    return [path] if value in {None, ""} else []


def test_every_field_of_the_standard_is_there_and_none_is_empty(world: World) -> None:
    for record in world.receipts():
        assert record.keys() >= RECORD
        assert record["pii_processing"][0].keys() >= PROCESSING
        assert {"pii_type", "pii_optional"} == record["pii_processing"][0]["pii_information"][
            0
        ].keys()
        assert record["party_identification"][0].keys() >= PARTY
        assert all(event.keys() >= EVENT for event in record["events"])
        assert empty_fields(record) == []


def test_it_names_the_words_the_time_and_the_seal_of_the_act_that_gave_it(
    world: World, clock: FrozenClock
) -> None:
    email, post = world.receipts()
    history = {}
    with world.context.db.reading() as session:
        history = {
            event["action"]: event for event in service.history(session, world.context, world.ada)
        }
    assert email["record_id"] == history["confirmed"]["hash"]
    assert email["wording"]["text"] == "Yes, send me News."
    assert email["wording"]["sha256"] == history["confirmed"]["wording_sha256"]
    assert [event["event_type"] for event in email["events"]] == ["requested", "confirmed"]
    assert email["events"][1]["event_time"] == clock.now().isoformat(timespec="seconds")
    assert email["party_identification"][0]["party_name"] == "Acme"
    assert (post["pii_processing"][0]["channel"], post["wording"]["text"]) == (
        "post",
        "not recorded",
    )


def test_a_withdrawal_changes_the_state_and_keeps_what_was_agreed(
    world: World, clock: FrozenClock
) -> None:
    (before, _) = world.receipts()
    clock.advance(days=3)
    with world.context.db.writing() as session:
        world.act(session, ConsentAction.WITHDRAWN)
    (after, _) = world.receipts()
    assert (before["state"], after["state"]) == ("granted", "withdrawn")
    assert (after["record_id"], after["wording"]) == (before["record_id"], before["wording"])
    assert after["receipt_id"] != before["receipt_id"]


def test_only_one_topic_or_channel_can_be_asked_for(world: World) -> None:
    assert len(world.receipts(topic="news")) == 2
    assert world.receipts(topic="other") == []
    (post,) = world.receipts(channel=Channel.POST)
    assert post["pii_processing"][0]["pii_information"][0]["pii_type"] == "postal address"


def test_only_a_full_receipt_holds_what_is_known_of_the_person(world: World) -> None:
    (plain, *_), (full, *_) = world.receipts(), world.receipts(full=True)
    assert "192.0.2.1" not in str(plain)
    assert "ada@" not in str(plain)
    assert "Lovelace" not in str(full) + str(plain)
    assert full["pii_principal_id"] == "ada@example.org"
    assert full["events"][0]["ip"] == "192.0.2.1"


def test_an_end_is_told_as_the_validity(world: World, clock: FrozenClock) -> None:
    until = clock.now() + timedelta(days=30)
    with world.context.db.writing() as session:
        world.act(session, ConsentAction.GRANTED, valid_until=until)
    event = world.receipts()[0]["events"][-1]
    assert event["validity_duration"] == f"until {until.isoformat(timespec='seconds')}"
