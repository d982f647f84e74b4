"""Nobody changes, removes, swaps or cuts off what is in the ledger without being found out."""

import hmac
import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlmodel import Session

from prefcentre.consent import chain, heads, service
from prefcentre.consent.service import Act, Channel, ConsentAction, Problem, Verification
from prefcentre.context import Context
from prefcentre.errors import SettingsError
from prefcentre.testing.makers import make_person, make_topic

EVENTS = 8
Tamper = Callable[[Session], None]


@pytest.fixture
def ledger(any_context: Context) -> Context:
    """Two people's eight events in four commits."""
    with any_context.db.writing() as session:
        topic = make_topic(session, any_context, "news")
        people = [
            make_person(session, any_context, f"{name}@example.org") for name in ("ada", "ben")
        ]
    for action in ("granted", "withdrawn", "granted", "withdrawn"):
        with any_context.db.writing() as session:
            acts = [
                Act(
                    subscriber_id=person.id or 0,
                    subscriber_ref=person.consent_ref,
                    topic_id=topic.id or 0,
                    channel=Channel.EMAIL,
                    action=ConsentAction(action),
                    method="preference_page",
                    source="the “page”, über",
                    at=any_context.clock.now(),
                    ip="192.0.2.1",
                    user_agent="Browser",
                    evidence={"form": "/p", "box": 1},
                )
                for person in people
            ]
            service.record(session, any_context, acts)
    return any_context


def verify(context: Context) -> Verification:
    with context.db.reading() as session:
        return service.verify(session, context)


def tamper(context: Context, *statements: str) -> None:
    with context.db.writing() as session:
        for statement in statements:
            session.execute(sa.text(statement))


def test_a_seal_stays_the_same_for_ever() -> None:
    keys = chain.ChainKeys(["the newest chain key", "an older one"])
    event = chain.Event(
        seq=41,
        subscriber_ref=bytes(range(16)),
        topic_id=3,
        channel="email",
        action="granted",
        state="granted",
        lawful_basis="consent",
        controller="Müller “& Co”, Ltd",
        wording_id=7,
        method="preference_page",
        source="/p?a=1,2",
        at="2026-03-08 10:11:12.000013",
        recorded_at="2026-03-08 10:11:13.000000",
        valid_until="2027-03-08 00:00:00.000000",
        actor=None,
        ip="192.0.2.1",
        user_agent="Browser",
        evidence=None,
        salt=b"s" * 16,
        personal_digest=bytes(range(32)),
        hash_version=keys.version,
        prev_hash=bytes(range(32, 64)),
    )
    found = [event, event._replace(wording_id=None, valid_until=None)]
    # Written down once: whoever changes the form makes every ledger look changed.
    assert [keys.seal(one).hex() for one in found] == [
        "24fac6c8c86e6ec9e8de08fd782f5573bc78c57df27b425be113883e19ad8933",
        "b2d897748dfd483db07583f965597a233c54b1f3f65040b9f0cf9f21525be4c5",
    ]


def test_a_seal_is_an_hmac() -> None:
    key, message = b"k" * 32, b"what is sealed"
    assert chain.KeyedHash(key).digest(message) == hmac.digest(key, message, "sha256")


def test_an_untouched_ledger_is_whole(ledger: Context) -> None:
    found = verify(ledger)
    assert (found.ok, found.events, found.first_bad, found.heads) == (True, EVENTS, None, 4)


def test_an_empty_ledger_is_whole(any_context: Context) -> None:
    assert verify(any_context).ok


@pytest.mark.parametrize(
    "change",
    [
        "subscriber_ref = (SELECT subscriber_ref FROM consent_event WHERE seq = 4)",
        "channel = 'sms'",
        "action = 'confirmed'",
        "state = 'refused'",
        "lawful_basis = 'soft_opt_in'",
        "controller = 'Other'",
        "wording_id = (SELECT min(id) FROM consent_wording)",
        "method = 'command'",
        "source = 'another'",
        "at = '2020-01-01 00:00:00.000000'",
        "recorded_at = '2020-01-01 00:00:00.000000'",
        "valid_until = '2030-01-01 00:00:00.000000'",
        "actor = 'Eve'",
        "ip = NULL",
        "user_agent = 'Other'",
        'evidence = \'{"form": "/q", "box": 1}\'',
        "salt = NULL",
        "personal_digest = hash",
        "hash = prev_hash",
    ],
)
def test_a_changed_column_is_found(ledger: Context, change: str) -> None:
    tamper(ledger, f"UPDATE consent_event SET {change} WHERE seq = 3")  # noqa: S608 - our own words
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, 3, Problem.CHANGED)


def test_a_missing_event_is_found(ledger: Context) -> None:
    tamper(ledger, "DELETE FROM consent_event WHERE seq = 3")
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, 3, Problem.MISSING)
    assert found.message == "Event 3 is missing."


def test_a_missing_event_is_found_when_the_next_one_takes_its_number(ledger: Context) -> None:
    tamper(
        ledger,
        "DELETE FROM consent_event WHERE seq = 3",
        "UPDATE consent_event SET seq = 3 WHERE seq = 4",
    )
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, 3, Problem.REORDERED)


def test_swapped_events_are_found(ledger: Context) -> None:
    tamper(
        ledger,
        "UPDATE consent_event SET seq = 99 WHERE seq = 3",
        "UPDATE consent_event SET seq = 3 WHERE seq = 4",
        "UPDATE consent_event SET seq = 4 WHERE seq = 99",
    )
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, 3, Problem.REORDERED)


def test_a_cut_tail_is_found(ledger: Context) -> None:
    tamper(ledger, "DELETE FROM consent_event WHERE seq > 6")
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, 7, Problem.CUT_TAIL)


def test_a_cut_tail_is_found_when_the_head_was_moved_back_too(ledger: Context) -> None:
    tamper(
        ledger,
        "DELETE FROM consent_event WHERE seq > 6",
        "UPDATE consent_head SET seq = 6, hash = (SELECT hash FROM consent_event WHERE seq = 6)",
    )
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, 7, Problem.CUT_TAIL)


def test_a_head_that_is_not_the_last_event_is_found(ledger: Context) -> None:
    tamper(ledger, "UPDATE consent_head SET seq = 7")
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, 8, Problem.HEAD)


def test_a_ledger_sealed_anew_by_somebody_with_the_keys_is_found(ledger: Context) -> None:
    path = ledger.settings.data_dir / heads.FILE_NAME
    path.write_text(re.sub(r"^4 .*$", f"4 {'0' * 64}", path.read_text(), flags=re.MULTILINE))
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, 4, Problem.REPLACED)


def test_a_consent_that_is_not_what_the_events_say_is_found(ledger: Context) -> None:
    tamper(ledger, "UPDATE consent SET state = 'granted'")
    found = verify(ledger)
    assert (found.ok, found.first_bad, found.problem) == (False, None, Problem.PROJECTION)


def test_erasing_the_personal_fields_with_their_salt_keeps_the_ledger_whole(
    ledger: Context,
) -> None:
    tamper(
        ledger,
        "UPDATE consent_event SET actor = NULL, ip = NULL, user_agent = NULL, evidence = NULL,"
        " salt = NULL WHERE seq IN (1, 3)",
    )
    assert verify(ledger).ok


def test_personal_fields_can_not_be_made_up_afterwards(ledger: Context) -> None:
    tamper(ledger, "UPDATE consent_event SET salt = NULL WHERE seq = 1")
    assert verify(ledger).problem is Problem.CHANGED


def test_events_sealed_with_an_older_key_still_verify(ledger: Context) -> None:
    old = ledger.settings.chain_keys
    settings = ledger.settings.model_copy(update={"chain_keys": (SecretStr("n" * 32), *old)})
    newer = Context(settings, ledger.clock, ledger.db, ledger.lookup, ledger.signer)
    assert verify(newer).ok
    only_new = settings.model_copy(update={"chain_keys": settings.chain_keys[:1]})
    without = Context(only_new, ledger.clock, ledger.db, ledger.lookup, ledger.signer)
    with pytest.raises(SettingsError, match="Consent event 1 is sealed with the key"):
        verify(without)


def test_ends_are_written_beside_the_database_when_the_session_commits(ledger: Context) -> None:
    path = ledger.settings.data_dir / heads.FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    lines = path.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["2", "4", "6", "8"]
    assert set(heads.read(ledger.settings.data_dir)) == {2, 4, 6, 8}


def test_no_end_is_written_when_the_session_is_rolled_back(ledger: Context) -> None:
    before = heads.read(ledger.settings.data_dir)
    # The session goes on after the rollback, and must not tell of what was undone.
    with ledger.db.writing() as session:
        service.record(session, ledger, [_act(session, ledger)])
        session.rollback()
        session.execute(sa.text("SELECT 1"))
    assert heads.read(ledger.settings.data_dir) == before
    assert verify(ledger).ok


def test_the_end_of_a_savepoint_is_no_commit(ledger: Context) -> None:
    before = heads.read(ledger.settings.data_dir)
    with ledger.db.writing() as session:
        act = _act(session, ledger)
        with session.begin_nested():
            service.record(session, ledger, [act])
        assert heads.read(ledger.settings.data_dir) == before
    assert set(heads.read(ledger.settings.data_dir)) - set(before) == {9}


def test_a_folder_that_can_not_be_written_does_not_undo_the_commit(
    ledger: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ledger.settings.data_dir / heads.FILE_NAME
    path.rename(path.with_suffix(".old"))
    path.mkdir()
    with ledger.db.writing() as session:
        service.record(session, ledger, [_act(session, ledger)])
    path.rmdir()
    assert verify(ledger).events == EVENTS + 1


def test_a_line_of_the_file_that_broke_off_is_passed_over(ledger: Context) -> None:
    path = ledger.settings.data_dir / heads.FILE_NAME
    with path.open("a") as file:
        file.write("9 abc\n\nrubbish\n")
    assert verify(ledger).ok


def _act(session: Session, context: Context) -> Act:
    row = session.execute(sa.text("SELECT id, consent_ref FROM subscriber ORDER BY id")).first()
    assert row is not None
    return Act(
        subscriber_id=row.id,
        subscriber_ref=bytes(row.consent_ref),
        topic_id=service.topic(session, "news").id or 0,
        channel=Channel.EMAIL,
        action=ConsentAction.GRANTED,
        method="command",
        source="test",
        at=context.clock.now(),
    )


def test_a_time_without_a_zone_is_not_taken(context: Context) -> None:
    with pytest.raises(ValueError, match="zone"):
        chain.time_text(context.clock.now().replace(tzinfo=None))
