"""What the suppression list forbids, for how long, and how it is lifted."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from prefcentre.context import Context
from prefcentre.errors import InvalidAddress, InvalidInput, Refused
from prefcentre.lookup import LookupKeys, LookupKind
from prefcentre.reasons import Reason
from prefcentre.suppression import journal, service
from prefcentre.suppression.service import Lifter
from prefcentre.testing import FrozenClock


def suppress(context: Context, email: str = "dan@example.org", **fields: Any) -> bool:
    values: dict[str, Any] = {"scope": "all", "reason": Reason.MANUAL, "source": "test"}
    with context.db.writing() as session:
        return service.suppress(session, context, email=email, **(values | fields))


def check(context: Context, email: str = "dan@example.org") -> list[tuple[str, Reason]]:
    with context.db.reading() as session:
        return [(found.scope, found.reason) for found in service.check(session, context, email)]


def keys(context: Context, email: str = "dan@example.org") -> list[bytes]:
    return [key for _, key in service.keys_of_address(context, email)]


def test_a_suppressed_address_is_found_however_it_is_written(any_context: Context) -> None:
    assert suppress(any_context, "Dan@Пример.бг")
    assert check(any_context, " dan@xn--e1afmkfd.xn--90ae ") == [("all", Reason.MANUAL)]
    assert check(any_context, "dan+news@xn--e1afmkfd.xn--90ae") == []


def test_an_equal_entry_is_made_once(any_context: Context) -> None:
    assert suppress(any_context)
    assert not suppress(any_context)
    assert check(any_context) == [("all", Reason.MANUAL)]


def test_the_strongest_reason_comes_first_and_none_is_lost(any_context: Context) -> None:
    suppress(any_context, reason=Reason.MANUAL)
    suppress(any_context, reason=Reason.TOPIC, scope="news:email")
    suppress(any_context, reason=Reason.COMPLAINT, scope="email")
    assert check(any_context) == [
        ("email", Reason.COMPLAINT),
        ("all", Reason.MANUAL),
        ("news:email", Reason.TOPIC),
    ]


def test_a_domain_entry_forbids_that_domain_only(any_context: Context) -> None:
    with any_context.db.writing() as session:
        service.suppress(
            session,
            any_context,
            domain="Example.ORG",
            scope="domain",
            reason=Reason.DOMAIN,
            source="t",
        )
    assert check(any_context, "anybody@example.org") == [("domain", Reason.DOMAIN)]
    assert check(any_context, "anybody@mail.example.org") == []
    assert check(any_context, "anybody@example.com") == []


def test_an_entry_ends_at_its_date_and_can_be_made_again(
    any_context: Context, clock: FrozenClock
) -> None:
    until = clock.now() + timedelta(days=90)
    suppress(any_context, reason=Reason.SOFT_BOUNCE, until=until)
    clock.moment = until - timedelta(seconds=1)
    assert check(any_context) == [("all", Reason.SOFT_BOUNCE)]
    clock.moment = until
    assert check(any_context) == []
    assert suppress(any_context, reason=Reason.SOFT_BOUNCE, until=until + timedelta(days=90))
    assert check(any_context) == [("all", Reason.SOFT_BOUNCE)]


def test_a_longer_entry_replaces_a_shorter_one_and_a_shorter_one_changes_nothing(
    any_context: Context, clock: FrozenClock
) -> None:
    week, month = clock.now() + timedelta(days=7), clock.now() + timedelta(days=30)
    assert suppress(any_context, until=month)
    assert not suppress(any_context, until=week)
    assert suppress(any_context)
    assert not suppress(any_context, until=month)
    clock.advance(days=31)
    assert check(any_context) == [("all", Reason.MANUAL)]


def test_a_number_is_forbidden_by_its_own_key(any_context: Context) -> None:
    with any_context.db.writing() as session:
        service.suppress(
            session,
            any_context,
            phone="+359 2 123 4567",
            scope="phone",
            reason=Reason.OBJECTION,
            source="test",
        )
        found = any_context.lookup.all(LookupKind.PHONE, "+35921234567")
        assert service.active_reasons(session, any_context, found, ["all", "phone"]) == [
            Reason.OBJECTION
        ]
        assert service.active_reasons(session, any_context, found, ["all", "sms"]) == []


def test_entries_made_under_an_old_lookup_key_are_found_and_new_ones_are_found_by_it(
    context: Context,
) -> None:
    old, both = LookupKeys(["old" * 8]), LookupKeys(["new" * 8, "old" * 8])
    before, after = _with(context, old), _with(context, both)
    suppress(before, "dan@example.org")
    suppress(after, "eve@example.org", reason=Reason.COMPLAINT)
    assert check(after, "dan@example.org") == [("all", Reason.MANUAL)]
    assert check(after, "eve@example.org") == [("all", Reason.COMPLAINT)]
    # A person stored before the new key came has only the old hash.
    with context.db.reading() as session:
        found = service.denies(session, old.all(LookupKind.EMAIL, "eve@example.org"))
    assert list(found.values()) == [[("all", Reason.COMPLAINT)]]


def _with(context: Context, lookup: LookupKeys) -> Context:
    return Context(context.settings, context.clock, context.db, lookup, context.signer)


def test_denies_answers_for_many_keys_at_once(any_context: Context, clock: FrozenClock) -> None:
    suppress(any_context, "a@example.org", reason=Reason.ERASED)
    suppress(any_context, "b@example.org", until=clock.now() + timedelta(days=1))
    asked = [keys(any_context, f"{name}@example.org")[0] for name in "abc"]
    clock.advance(days=2)
    with any_context.db.reading() as session:
        assert service.denies(session, asked, now=clock.now()) == {
            asked[0]: [("all", Reason.ERASED)]
        }
        # Who does not say what time it is gets the safe answer.
        assert set(service.denies(session, asked)) == {asked[0], asked[1]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": Reason.NO_CONSENT}, "not a reason to suppress"),
        ({"reason": Reason.TOPIC}, "TOPIC:CHANNEL"),
        ({"reason": Reason.DOMAIN}, "scope “domain”"),
        ({"scope": "domain"}, "goes with a domain"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(
    context: Context, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        suppress(context, **fields)


def test_an_end_in_the_past_is_refused(context: Context, clock: FrozenClock) -> None:
    with pytest.raises(InvalidInput, match="future"):
        suppress(context, until=clock.now())


def test_nobody_is_suppressed_by_mistake(context: Context) -> None:
    with pytest.raises(InvalidAddress):
        suppress(context, "not an address")
    with (
        pytest.raises(InvalidInput, match="Name an e-mail address"),
        context.db.writing() as session,
    ):
        service.suppress(session, context, scope="all", reason=Reason.MANUAL, source="test")


def test_a_lift_takes_its_own_entry_only_and_is_remembered(any_context: Context) -> None:
    suppress(any_context, reason=Reason.STOP_ALL)
    suppress(any_context, reason=Reason.COMPLAINT)
    with any_context.db.writing() as session:
        found = service.lift(
            session,
            any_context,
            keys=keys(any_context),
            scope="all",
            reason=Reason.STOP_ALL,
            by=Lifter.PERSON,
        )
    assert found == 1
    assert check(any_context) == [("all", Reason.COMPLAINT)]
    assert suppress(any_context, reason=Reason.STOP_ALL)


def test_a_lift_that_is_not_allowed_is_refused_and_nothing_changes(any_context: Context) -> None:
    suppress(any_context, reason=Reason.COMPLAINT)
    with pytest.raises(Refused, match="can't be lifted"), any_context.db.writing() as session:
        service.lift(
            session,
            any_context,
            keys=keys(any_context),
            scope="all",
            reason=Reason.COMPLAINT,
            by=Lifter.PERSON,
        )
    assert check(any_context) == [("all", Reason.COMPLAINT)]


def test_staff_may_revive_a_dead_mailbox_once_and_only_with_a_note(any_context: Context) -> None:
    def lift(note: str) -> int:
        with any_context.db.writing() as session:
            return service.lift(
                session,
                any_context,
                keys=keys(any_context),
                scope="all",
                reason=Reason.HARD_BOUNCE,
                by=Lifter.STAFF,
                note=note,
            )

    suppress(any_context, reason=Reason.HARD_BOUNCE)
    with pytest.raises(Refused, match="note"):
        lift(" ")
    assert lift("Dan called: his mailbox works again") == 1
    suppress(any_context, reason=Reason.HARD_BOUNCE)
    with pytest.raises(Refused, match="before"):
        lift("again")


def test_an_export_holds_hashes_and_no_address(any_context: Context) -> None:
    suppress(any_context, reason=Reason.COMPLAINT)
    with any_context.db.reading() as session:
        (row,) = service.export(session, any_context)
    assert (row.key, row.reason) == (keys(any_context)[0].hex(), Reason.COMPLAINT)
    assert "dan" not in repr(row)


def test_counts_and_newest_leave_out_what_is_over(any_context: Context, clock: FrozenClock) -> None:
    suppress(any_context, "a@example.org", until=clock.now() + timedelta(days=1))
    suppress(any_context, "b@example.org", reason=Reason.COMPLAINT, scope="email")
    suppress(any_context, "c@example.org", reason=Reason.COMPLAINT, scope="email")
    clock.advance(days=2)
    with any_context.db.reading() as session:
        assert service.counts(session, any_context) == [(Reason.COMPLAINT, "email", 2)]
        newest = service.newest(session, any_context)
    assert [row.key for row in newest] == [
        keys(any_context, f"{name}@example.org")[0] for name in "cb"
    ]


def test_entries_made_at_the_same_moment_get_lines_of_their_own_in_the_journal(
    any_context: Context,
) -> None:
    """R137: two lines with one number would be one to a database that catches up."""
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda n: suppress(any_context, f"dan{n}@example.org"), range(40)))
    numbers = [line.number for line in journal.read(any_context.settings.journal_dir)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 40
