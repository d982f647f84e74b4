"""An import from the desk: looked at, judged, brought in beside the worker, and taken back as far as that is possible."""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa

from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused, WrongState
from prefcentre.imports import desk, spreadsheets
from prefcentre.imports.service import ImportOptions
from prefcentre.people import importing, undoing
from prefcentre.people import service as people
from prefcentre.people.service import Search
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.models import ImportRun, ImportState, Subscriber
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent

FAIR = ImportOptions(
    topic="product-news",
    channel="email",
    basis="consent",
    source="Fair 2026",
    evidence="Forms in binder 7",
)
FILE = (
    "email,name,city,tracking\n"
    "eve@example.org,Eve,Sofia,yes\n"
    "ada@example.org,Ada King,Sofia,no\n"
    "cleo@example.org,,,\n"
    "broken,Nobody,,\n"
    "finn@example.org,=cmd(),Wien,\n"
)


def upload(context: Context, text: str | bytes = FILE, name: str = "people.csv") -> int:
    octets = text.encode() if isinstance(text, str) else text
    path = desk.store(context, name, io.BytesIO(octets))
    with context.db.writing() as session:
        return desk.begin(session, context, path, "staff:1")


def check(context: Context, run_id: int, options: ImportOptions = FAIR) -> ImportRun:
    with context.db.writing() as session:
        desk.ask_check(session, run_id, options)
    importing.work(context)
    return run_of(context, run_id)


def bring_in(context: Context, run_id: int) -> ImportRun:
    with context.db.writing() as session:
        desk.ask_run(session, context, run_id, "staff:1")
    importing.work(context)
    return run_of(context, run_id)


def undo(context: Context, run_id: int) -> ImportRun:
    with context.db.writing() as session:
        desk.ask_undo(session, context, run_id, "staff:1")
    importing.work(context)
    return run_of(context, run_id)


def run_of(context: Context, run_id: int) -> ImportRun:
    with context.db.reading() as session:
        return desk.get(session, run_id)


def person(context: Context, email: str) -> Subscriber | None:
    with context.db.reading() as session:
        return subscribers.find(session, context, email)


def states(context: Context, email: str) -> dict[str, str]:
    found = person(context, email)
    assert found is not None
    with context.db.reading() as session:
        views = consents.consents_of(session, found.id or 0)
    return {view.topic_key: view.state.value for view in views}


def ledger_holds(context: Context) -> bool:
    with context.db.reading() as session:
        return consents.verify(session, context).ok


def book(rows: list[list[Any]]) -> bytes:
    made = openpyxl.Workbook()
    for row in rows:
        made.worksheets[0].append(row)
    target = io.BytesIO()
    made.save(target)
    return target.getvalue()


# --- looking and judging --------------------------------------------------------------------------------------------


def test_a_file_is_looked_at_with_what_its_columns_seem_to_be(context: Context) -> None:
    run = run_of(context, upload(context))
    seen = desk.look(run)
    assert [(column.name, column.field) for column in seen.columns] == [
        ("email", "email"),
        ("name", "name"),
        ("city", "attributes.city"),
        ("tracking", "tracking"),
    ]
    assert seen.rows[0] == ("eve@example.org", "Eve", "Sofia", "yes")
    assert seen.problem is None


def test_a_file_from_excel_that_is_not_utf8_is_read_all_the_same(context: Context) -> None:
    run = run_of(context, upload(context, "email;name\nzoe@example.org;Zoë\n".encode("cp1252")))
    seen = desk.look(run)
    assert seen.encoding == "cp1252"
    assert seen.rows == (("zoe@example.org", "Zoë"),)


@pytest.mark.parametrize("octets", [b"\0\1\2", b"PK\x03\x04 broken", b"name\nAda\n"])
def test_what_can_not_be_read_is_said_and_nothing_is_lost(context: Context, octets: bytes) -> None:
    run_id = upload(context, octets)
    assert desk.look(run_of(context, run_id)).problem
    with context.db.writing() as session, pytest.raises(InvalidInput):
        desk.ask_check(session, run_id, ImportOptions())


def test_an_empty_or_endless_file_is_refused(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        desk.store(context, "a.csv", io.BytesIO(b""))
    monkeypatch.setattr(desk, "UPLOAD_LIMIT", 10)
    with pytest.raises(InvalidInput, match="larger"):
        desk.store(context, "a.csv", io.BytesIO(b"x" * 11))
    assert not list((context.settings.data_dir / "imports").glob("*/*"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\x.csv", "/", "", "\n\0.csv"])
def test_a_name_leads_nowhere_else(context: Context, name: str) -> None:
    path = desk.store(context, name, io.BytesIO(b"email\n"))
    assert path.resolve().parent.parent == (context.settings.data_dir / "imports").resolve()


def test_a_dry_run_tells_what_is_new_changed_unchanged_and_refused_and_writes_nothing(
    any_context: Context, any_cast: Cast
) -> None:
    run = check(any_context, upload(any_context))
    assert run.state is ImportState.CHECKED, run.problem
    outlook = dict(run.outlook)
    counts = outlook["counts"]
    told = {name: counts[name] for name in ("added", "updated", "unchanged", "refused", "granted")}
    assert told == {"added": 2, "updated": 1, "unchanged": 1, "refused": 1, "granted": 2}
    assert counts["not_granted"] == {"withdrawn": 1}
    assert ["name", "Ada Lovelace", "Ada King"] in outlook["examples"]["updated"][0]["changes"]
    assert outlook["examples"]["refused"][0]["line"] == 5
    assert outlook["fields"]["city"] == 1
    assert person(any_context, "eve@example.org") is None
    with desk.changes_file(run).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[1] for row in rows[1:]] == ["added", "updated", "unchanged", "refused", "added"]
    assert rows[3][4] == "not granted: withdrawn"


def test_options_that_can_not_be_used_are_refused_before_anything_begins(
    context: Context, cast: Cast
) -> None:
    run_id = upload(context)
    for options, error in (
        (ImportOptions(topic="product-news"), InvalidInput),
        (ImportOptions(topic="none", channel="email", basis="consent", source="x"), NotFound),
        (ImportOptions(topic="events", channel="post", basis="consent", source="x"), Refused),
        (ImportOptions(columns={"nothing": "email"}), InvalidInput),
    ):
        with context.db.writing() as session, pytest.raises(error):
            desk.ask_check(session, run_id, options)
    assert run_of(context, run_id).state is ImportState.UPLOADED


# --- bringing in ----------------------------------------------------------------------------------------------------


def test_people_come_in_with_their_consents_evidence_and_a_file_of_refused_lines(
    any_context: Context, any_cast: Cast
) -> None:
    run_id = upload(any_context)
    check(any_context, run_id)
    run = bring_in(any_context, run_id)
    assert run.state is ImportState.DONE, run.problem
    assert dict(run.counts)["added"] == 2
    assert states(any_context, "eve@example.org") == {"product-news": "granted"}
    eve = person(any_context, "eve@example.org")
    assert eve is not None
    with any_context.db.reading() as session:
        event = consents.history(session, any_context, eve)[0]
        found = people.search(session, any_context, Search(imported=str(run_id)))
        view = people.view(session, any_context, eve.public_id)
    assert event["evidence"]["proof"] == "Forms in binder 7"
    assert event["evidence"]["file"] == "people.csv"
    assert {row.email for row in found.rows} == {
        "eve@example.org",
        "finn@example.org",
        "ada@example.org",
    }
    assert [row.file_name for row in view.imports] == ["people.csv"]
    refused = desk.rejects_file(run)
    assert refused is not None
    assert "broken" in refused.read_text()
    assert not Path(run.stored_file or "").exists()


def test_nothing_begins_twice_or_in_the_wrong_order(context: Context, cast: Cast) -> None:
    run_id = upload(context)
    with context.db.writing() as session:
        with pytest.raises(WrongState):
            desk.ask_run(session, context, run_id, "staff:1")
        with pytest.raises(WrongState):
            desk.ask_undo(session, context, run_id, "staff:1")
    check(context, run_id)
    bring_in(context, run_id)
    with context.db.writing() as session:
        with pytest.raises((WrongState, InvalidInput)):
            desk.ask_check(session, run_id, FAIR)
        with pytest.raises(WrongState):
            desk.ask_run(session, context, run_id, "staff:1")
        with pytest.raises(WrongState):
            desk.drop(session, run_id)


def test_an_import_that_is_dropped_leaves_no_file(context: Context) -> None:
    run_id = upload(context)
    path = Path(run_of(context, run_id).stored_file or "")
    with context.db.writing() as session:
        desk.drop(session, run_id)
    assert not path.parent.exists()
    with pytest.raises(NotFound):
        run_of(context, run_id)


def imports_wait(context: Context) -> bool:
    """What a worker asks each second."""
    with context.db.reading() as session:
        return subscribers.imports_wait(session, context)


def test_a_run_whose_worker_died_is_taken_up_after_a_while(
    context: Context, cast: Cast, clock: FrozenClock
) -> None:
    run_id = upload(context)
    with context.db.writing() as session:
        desk.ask_check(session, run_id, FAIR)
    assert desk.next_run(context, undoing.STATES) is not None
    assert not imports_wait(context)
    assert importing.work(context) == 0
    clock.advance(seconds=31)
    assert imports_wait(context)
    assert importing.work(context) == 1
    assert run_of(context, run_id).state is ImportState.CHECKED


def test_what_goes_wrong_is_told_and_keeps_nothing_else_waiting(
    context: Context, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = upload(context), upload(context)
    with context.db.writing() as session:
        desk.ask_check(session, first, FAIR)
        desk.ask_check(session, second, FAIR)
    Path(run_of(context, first).stored_file or "").write_text("")
    importing.work(context)
    failed = run_of(context, first)
    assert failed.state is ImportState.FAILED
    assert failed.problem is not None
    assert str(context.settings.data_dir) not in failed.problem
    assert run_of(context, second).state is ImportState.CHECKED


def test_files_of_imports_that_nobody_went_on_with_are_deleted(
    context: Context, cast: Cast
) -> None:
    import os  # noqa: PLC0415 - the clock of the files is set back here only

    run_id = upload(context)
    folder = Path(run_of(context, run_id).stored_file or "").parent
    old = context.clock.now().timestamp() - 40 * 86_400
    os.utime(folder, (old, old))
    with context.db.writing() as session:
        session.get_one(ImportRun, run_id).started_at = datetime.fromtimestamp(
            old, context.clock.now().tzinfo
        )
    importing.work(context)
    assert not folder.exists()


# --- taking back ----------------------------------------------------------------------------------------------------


@pytest.fixture
def done(any_context: Context, any_cast: Cast) -> Iterator[int]:
    run_id = upload(any_context)
    check(any_context, run_id)
    bring_in(any_context, run_id)
    yield run_id
    assert ledger_holds(any_context)


def test_an_undo_removes_new_people_withdraws_grants_and_puts_fields_back(
    any_context: Context, done: int
) -> None:
    run = undo(any_context, done)
    assert run.state is ImportState.UNDONE, run.problem
    assert person(any_context, "eve@example.org") is None
    assert person(any_context, "finn@example.org") is None
    ada = person(any_context, "ada@example.org")
    assert ada is not None
    assert (ada.name, dict(ada.attributes)) == ("Ada Lovelace", {})
    with any_context.db.reading() as session:
        limits = people.view(session, any_context, ada.public_id).limits
    assert limits.track_opens == "yes"
    told = undoing.told(run)
    assert told == {
        "removed": 2,
        "kept": 0,
        "withdrawn": 2,
        "moved_on": 0,
        "put_back": 3,
        "changed_since": 0,
    }
    assert states(any_context, "ada@example.org")["product-news"] == "granted"


def test_who_is_known_for_another_reason_by_now_stays_and_loses_only_the_grant(
    any_context: Context, any_cast: Cast, done: int
) -> None:
    eve = person(any_context, "eve@example.org")
    assert eve is not None
    with any_context.db.writing() as session:
        make_consent(session, any_context, eve, any_cast.events)
    run = undo(any_context, done)
    assert states(any_context, "eve@example.org") == {
        "product-news": "withdrawn",
        "events": "granted",
    }
    told = undoing.told(run)
    assert told is not None
    assert (told["removed"], told["kept"]) == (1, 1)


def test_what_a_person_changed_since_stays_as_they_want_it(
    any_context: Context, any_cast: Cast, done: int, clock: FrozenClock
) -> None:
    clock.advance(seconds=5)
    eve, ada = person(any_context, "eve@example.org"), person(any_context, "ada@example.org")
    assert eve is not None
    assert ada is not None
    desk_of = people.Desk("staff:1", "They called.")
    with any_context.db.writing() as session:
        eve, ada = session.merge(eve), session.merge(ada)
        people.withdraw(session, any_context, eve, "product-news", "email", desk_of)
        people.edit(session, any_context, ada, {"name": "Countess"}, {}, desk_of)
    told = undoing.told(undo(any_context, done))
    assert told is not None
    assert (told["moved_on"], told["changed_since"]) == (1, 1)
    found = person(any_context, "ada@example.org")
    assert found is not None
    assert found.name == "Countess"
    assert person(any_context, "eve@example.org") is not None


def test_an_undo_that_was_killed_goes_on_and_counts_nothing_twice(
    context: Context, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefcentre.imports import service  # noqa: PLC0415 - its size of chunks is set for this test

    monkeypatch.setattr(service, "CHUNK", 2)
    lines = "".join(f"p{number}@example.org\n" for number in range(9))
    run_id = upload(context, f"email\n{lines}")
    check(context, run_id)
    bring_in(context, run_id)
    with context.db.writing() as session:
        desk.ask_undo(session, context, run_id, "staff:1")
    real, calls = undoing._take_back, 0

    def dies(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(undoing, "_take_back", dies)
    with pytest.raises(KeyboardInterrupt):
        importing.work(context)
    monkeypatch.setattr(undoing, "_take_back", real)
    with context.db.writing() as session:
        session.get_one(ImportRun, run_id).busy_until = None
    importing.work(context)
    told = undoing.told(run_of(context, run_id))
    assert told is not None
    assert (told["removed"], told["withdrawn"]) == (9, 9)
    with context.db.reading() as session:
        left = session.execute(sa.select(sa.func.count()).select_from(sa.table("subscriber")))
        assert left.scalar_one() == 4
    assert ledger_holds(context)


# --- spreadsheets ---------------------------------------------------------------------------------------------------


def test_a_spreadsheet_is_read_as_its_people_see_it(context: Context, cast: Cast) -> None:
    octets = book(
        [
            ["email", "phone", "consented_at", "visits", "score"],
            ["eve@example.org", "+359 2 1234567", datetime(2026, 3, 31, 14, 0), 12, 1.5],  # noqa: DTZ001 - a sheet has no zone
            [],
            ["finn@example.org", None, date(2026, 4, 1), 7.0, None],
        ]
    )
    run_id = upload(context, octets, "people.xlsx")
    seen = desk.look(run_of(context, run_id))
    assert seen.sheet == "Sheet"
    assert seen.rows[0] == ("eve@example.org", "+359 2 1234567", "2026-03-31T14:00:00", "12", "1.5")
    check(context, run_id)
    run = bring_in(context, run_id)
    assert run.state is ImportState.DONE, run.problem
    eve = person(context, "eve@example.org")
    assert eve is not None
    assert dict(eve.attributes) == {"visits": "12", "score": "1.5"}
    assert not list((context.settings.data_dir / "imports" / "sheets").glob("*"))


def test_a_spreadsheet_that_unpacks_to_too_much_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.xlsx"
    path.write_bytes(book([["email"], ["x" * 30_000]]))
    monkeypatch.setattr(spreadsheets, "EXPANDED_LIMIT", 20_000)
    with pytest.raises(InvalidInput, match="unpack"):
        spreadsheets.head(path, 3)


@pytest.mark.parametrize(
    ("limit", "rows"),
    [("ROW_LIMIT", [["email"], ["a"], ["b"], ["c"]]), ("COLUMN_LIMIT", [["a", "b", "c"]])],
)
def test_more_rows_or_columns_than_the_limit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, rows: list[list[str]]
) -> None:
    path = tmp_path / "large.xlsx"
    path.write_bytes(book(rows))
    monkeypatch.setattr(spreadsheets, limit, 2)
    with pytest.raises(InvalidInput):
        spreadsheets.to_csv(path, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_row_far_down_does_not_make_the_reader_walk_for_ever(tmp_path: Path) -> None:
    import zipfile  # noqa: PLC0415 - a sheet is forged here only

    path, forged = tmp_path / "plain.xlsx", tmp_path / "forged.xlsx"
    path.write_bytes(book([["email"], ["ada@example.org"]]))
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(forged, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename.endswith("sheet1.xml"):
                content = content.replace(b'r="2"', b'r="999999999999"')
            new.writestr(part, content)
    with pytest.raises(InvalidInput, match="rows"):
        spreadsheets.to_csv(forged, tmp_path / "out.csv")


def test_a_spreadsheet_with_entities_is_refused(tmp_path: Path) -> None:
    import zipfile  # noqa: PLC0415 - a sheet is forged here only

    path, forged = tmp_path / "plain.xlsx", tmp_path / "forged.xlsx"
    path.write_bytes(book([["email"]]))
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>'
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(forged, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            new.writestr(part, bomb + content if part.filename.endswith("sheet1.xml") else content)
    with pytest.raises(InvalidInput, match="DOCTYPE"):
        spreadsheets.head(forged, 3)
