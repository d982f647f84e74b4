"""Lists of other systems are understood, nothing is lost, and doing it twice changes nothing."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound
from prefcentre.reasons import Reason
from prefcentre.suppression import service
from prefcentre.suppression.service import ImportResult
from prefcentre.testing.makers import make_topic

Import = Callable[..., ImportResult]


@pytest.fixture
def take(any_context: Context, tmp_path: Path) -> Import:
    def take(text: str, **options: object) -> ImportResult:
        path = tmp_path / "list.csv"
        path.write_text(text)
        return service.import_file(any_context, path, **options)  # type: ignore[arg-type]

    return take


def found(context: Context, email: str) -> list[tuple[str, Reason]]:
    with context.db.reading() as session:
        return [(entry.scope, entry.reason) for entry in service.check(session, context, email)]


@pytest.mark.parametrize(
    ("text", "layout", "expected"),
    [
        ("a@example.org\nb@example.org\n", "plain", [Reason.MANUAL, Reason.MANUAL]),
        ("Name;E-Mail\nA;a@example.org\nB;b@example.org\n", "plain", [Reason.MANUAL] * 2),
        (
            "email,reason,scope\na@example.org,Hard Bounce,\nb@example.org,because,email\n",
            "plain",
            [Reason.HARD_BOUNCE, Reason.MANUAL],
        ),
        (
            (
                '"Email Address","First Name",UNSUB_TIME,UNSUB_REASON\n'
                'a@example.org,A,"2024-05-01 10:00:00","NORMAL"\n'
                'b@example.org,B,"2024-05-01 10:00:00","ABUSE (spam complaint)"\n'
            ),
            "mailchimp",
            [Reason.STOP_ALL, Reason.COMPLAINT],
        ),
        (
            "Email Address,CLEAN_TIME\na@example.org,2024-05-01 10:00:00\nb@example.org,2024\n",
            "mailchimp",
            [Reason.HARD_BOUNCE, Reason.HARD_BOUNCE],
        ),
        (
            (
                "status,reason,email,created\n"
                '5.1.1,"550 5.1.1 <a@example.org> unknown",a@example.org,1714557600\n'
                "4.2.2,mailbox full,b@example.org,1714557600\n"
            ),
            "sendgrid",
            [Reason.HARD_BOUNCE, Reason.SOFT_BOUNCE],
        ),
        (
            "email,created,ip\na@example.org,1714557600,192.0.2.1\nb@example.org,1714557600,\n",
            "sendgrid",
            [Reason.COMPLAINT, Reason.STOP_ALL],
        ),
        (
            (
                "EmailAddress,Reason,LastUpdateTime\n"
                "a@example.org,BOUNCE,2024-05-01T10:00:00.000000+00:00\n"
                "b@example.org,COMPLAINT,2024-05-01T10:00:00.000000+00:00\n"
            ),
            "ses",
            [Reason.HARD_BOUNCE, Reason.COMPLAINT],
        ),
        (
            (
                "EmailAddress,SuppressionReason,Origin,CreatedAt\n"
                "a@example.org,SpamComplaint,Recipient,2024-05-01T10:00:00-05:00\n"
                "b@example.org,ManualSuppression,Customer,2024-05-01T10:00:00-05:00\n"
            ),
            "postmark",
            [Reason.COMPLAINT, Reason.MANUAL],
        ),
        (
            (
                "uuid,email,name,attributes,status,created_at,updated_at\n"
                "1,a@example.org,A,{},blocklisted,2024-05-01,2024-05-01\n"
                "2,c@example.org,C,{},enabled,2024-05-01,2024-05-01\n"
                "3,b@example.org,B,{},blocklisted,2024-05-01,2024-05-01\n"
            ),
            "listmonk",
            [Reason.STOP_ALL, Reason.STOP_ALL],
        ),
    ],
)
def test_lists_of_other_systems_are_understood(
    any_context: Context, take: Import, text: str, layout: str, expected: list[Reason]
) -> None:
    result = take(text)
    assert (result.layout, result.added, result.refused) == (layout, 2, 0)
    names = ("a@example.org", "b@example.org")
    assert [reason for name in names for _, reason in found(any_context, name)] == expected
    assert found(any_context, "c@example.org") == []


def test_the_same_list_again_changes_nothing(any_context: Context, take: Import) -> None:
    text = "a@example.org\nA@EXAMPLE.ORG\nb@example.org\n"
    first, again = take(text), take(text)
    assert (first.read, first.added, first.unchanged) == (3, 2, 1)
    assert (again.read, again.added, again.unchanged) == (3, 0, 3)


def test_a_list_only_adds_and_the_strongest_reason_is_kept(
    any_context: Context, take: Import
) -> None:
    take("a@example.org\n", reason=Reason.COMPLAINT)
    take("a@example.org\n")
    assert found(any_context, "a@example.org") == [
        ("all", Reason.COMPLAINT),
        ("all", Reason.MANUAL),
    ]


def test_reason_and_scope_are_for_lines_that_do_not_say_their_own(
    any_context: Context, take: Import
) -> None:
    with any_context.db.writing() as session:
        make_topic(session, any_context, "news")
    text = "email,reason,scope\na@example.org,,\nb@example.org,complaint,phone\n"
    take(text, reason=Reason.TOPIC, scope="news:email")
    assert found(any_context, "a@example.org") == [("news:email", Reason.TOPIC)]
    assert found(any_context, "b@example.org") == [("phone", Reason.COMPLAINT)]


def test_a_list_of_domains_is_taken(any_context: Context, take: Import) -> None:
    assert take("example.com\n@example.net\n", scope="domain").added == 2
    assert found(any_context, "anybody@example.net") == [("domain", Reason.DOMAIN)]


def test_lines_that_can_not_be_used_are_kept_for_a_person_and_counted(
    any_context: Context, take: Import
) -> None:
    result = take("email,scope\nnobody,\na@example.org,fax\n\nb@example.org,\n=cmd,\n")
    assert (result.read, result.added, result.refused) == (4, 1, 3)
    assert result.rejects_file is not None
    assert result.rejects_file.stat().st_mode & 0o777 == 0o600
    with result.rejects_file.open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["line", "2", "3", "6"]
    assert "not an e-mail address" in rows[1][1]
    assert "“fax” is not a scope" in rows[2][1]
    # A spreadsheet that opens the file must not run what is in it.
    assert rows[3][2] == "'=cmd"


def test_what_another_system_noted_is_kept_without_the_address(
    any_context: Context, take: Import
) -> None:
    take(
        "status,reason,email,created\n5.1.1,550 <a@example.org> unknown,a@example.org,1714557600\n"
    )
    with any_context.db.reading() as session:
        (row,) = service.newest(session, any_context)
    assert (row.note, row.source) == ("550 ••• unknown", "import:list.csv")
    assert row.at.year == 2024


def test_our_own_export_can_be_brought_in_elsewhere_with_the_same_key(
    any_context: Context, take: Import, tmp_path: Path
) -> None:
    take("a@example.org\n", reason=Reason.ERASED)
    with any_context.db.reading() as session:
        (row,) = service.export(session, any_context)
    header = ",".join(service.EXPORT_HEADER)
    line = f"{row.key_version},{row.key},{row.scope},complaint,{row.at.isoformat()},"
    result = take(f"{header}\n{line}\n")
    assert (result.layout, result.added) == ("prefcentre", 1)
    assert found(any_context, "a@example.org") == [
        ("all", Reason.ERASED),
        ("all", Reason.COMPLAINT),
    ]


@pytest.mark.parametrize(
    ("version", "key", "why"),
    [("ffffffff", "00" * 16, "not ours"), (None, "xyz", "not a hash"), (None, "00", "not a hash")],
)
def test_a_hash_that_could_never_match_is_refused(
    any_context: Context, take: Import, version: str | None, key: str, why: str
) -> None:
    name = version or any_context.lookup.version
    result = take(f"key_version,key,scope,reason,at,until\n{name},{key},all,manual,,\n")
    assert (result.added, result.refused) == (0, 1)
    assert result.rejects_file is not None
    assert why in result.rejects_file.read_text()


def test_entries_that_are_over_are_left_out(any_context: Context, take: Import) -> None:
    result = take("email,until\na@example.org,2020-01-01\nb@example.org,2030-01-01\n")
    assert (result.left_out, result.added) == (1, 1)
    assert found(any_context, "a@example.org") == []


def test_each_chunk_is_committed_and_told(any_context: Context, take: Import) -> None:
    seen: list[int] = []
    lines = "".join(f"p{number}@example.org\n" for number in range(1, 2_502))
    result = take(lines, after_chunk=lambda keys: seen.append(len(keys)))
    assert (result.added, seen) == (2_501, [1_000, 1_000, 501])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name;phone\nA;1\n", "no column with addresses; its columns are name, phone"),
        ("", "no column"),
    ],
)
def test_a_file_without_addresses_is_refused(take: Import, text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        take(text)


def test_a_file_that_stops_being_csv_is_told_by_line(take: Import) -> None:
    with pytest.raises(InvalidInput, match="Line 2 is not CSV"):
        take("email\n" + "x" * 200_000 + "\n")


def test_a_missing_file_is_told(context: Context, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no\.csv"):
        service.import_file(context, tmp_path / "no.csv")


def test_an_unknown_scope_is_told_before_anything_is_added(take: Import) -> None:
    with pytest.raises(InvalidInput, match="“fax” is not a scope"):
        take("a@example.org\n", scope="fax")
