import csv
import gc
import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select

from prefcentre.consent import service as consents
from prefcentre.consent.models import Channel, ConsentState
from prefcentre.context import Context
from prefcentre.errors import InvalidInput, NotFound, Refused
from prefcentre.imports import service as imports
from prefcentre.imports.service import ImportOptions, ImportResult
from prefcentre.preferences.models import Preference, TrackingChoice
from prefcentre.reasons import Reason
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.models import ImportRun, ImportState, Subscriber
from prefcentre.suppression import service as suppressions
from prefcentre.testing import FrozenClock
from prefcentre.testing.makers import Cast, make_consent, make_person, make_suppression, make_topic

FAIR = ImportOptions(topic="product-news", channel="email", basis="consent", source="Fair 2026")
STORE = ImportOptions()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def bring(context: Context, path: Path, text: str, options: ImportOptions = FAIR) -> ImportResult:
    path.write_text(text, encoding="utf-8")
    return imports.import_file(context, path, options)


def counts(result: ImportResult) -> tuple[int, int, int, int]:
    found = result.counts
    assert found.read == found.added + found.updated + found.unchanged + found.refused
    return found.added, found.updated, found.unchanged, found.refused


def states(context: Context, email: str) -> dict[tuple[str, str], str]:
    with context.db.reading() as session:
        person = subscribers.find(session, context, email)
        assert person is not None
        found = consents.consents_of(session, person.id or 0)
    return {(view.topic_key, view.channel.value): view.state.value for view in found}


def history(context: Context, email: str) -> list[dict[str, Any]]:
    with context.db.reading() as session:
        person = subscribers.find(session, context, email)
        assert person is not None
        return consents.history(session, context, person)


def tables(context: Context) -> dict[str, int]:
    names = ("subscriber", "subscriber_key", "consent", "consent_event", "preference", "import_run")
    with context.db.reading() as session:
        return {
            name: session.execute(
                sa.select(sa.func.count()).select_from(sa.table(name))
            ).scalar_one()
            for name in names
        }


def rejects(result: ImportResult) -> list[list[str]]:
    assert result.rejects_file is not None
    with result.rejects_file.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


# --- bringing in ----------------------------------------------------------------------------


def test_a_file_with_all_four_parts_grants_and_keeps_the_evidence(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    result = bring(
        any_context,
        people,
        "E-mail;First name;consented_at;consent_ip;City\n"
        "eve@example.org;Eve;2024-03-31T14:00+02:00;203.0.113.9;Sofia\n"
        "fay@example.org;Fay;;;\n",
    )
    assert counts(result) == (2, 0, 0, 0)
    assert (result.counts.granted, result.counts.not_granted, result.rejects_file) == (2, {}, None)
    assert result.mapping["City"] == "attributes.City"
    assert states(any_context, "eve@example.org") == {("product-news", "email"): "granted"}
    (event,) = history(any_context, "eve@example.org")
    assert (event["action"], event["method"], event["source"]) == (
        "imported",
        "import",
        "Fair 2026",
    )
    assert (event["lawful_basis"], event["ip"]) == ("consent", "203.0.113.9")
    assert event["at"].isoformat() == "2024-03-31T12:00:00+00:00"
    assert event["evidence"] == {
        "file": "people.csv",
        "run": 1,
        "line": 2,
        "consented_at": "2024-03-31T14:00+02:00",
    }
    assert history(any_context, "fay@example.org")[0]["at"] == any_context.clock.now()
    with any_context.db.reading() as session:
        assert consents.verify(session, any_context).ok


def test_a_file_without_consent_stores_people_and_grants_nothing(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    result = bring(
        any_context, people, "email,phone\neve@example.org,+359 2 1234567\n,+35929999999\n", STORE
    )
    assert counts(result) == (2, 0, 0, 0)
    assert result.counts.granted == 0
    assert result.quarantined == result.as_dict()["quarantined"] == 2
    assert states(any_context, "eve@example.org") == {}


def test_a_file_may_hold_numbers_as_its_country_writes_them(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    at_home = replace(
        any_context, settings=any_context.settings.model_copy(update={"phone_country": "BG"})
    )
    text = "email,phone\neve@example.org,02 1234567\nfay@example.org,+359 2 123-4567\n"
    result = bring(at_home, people, text, STORE)
    assert counts(result) == (1, 0, 0, 1)
    with any_context.db.reading() as session:
        found = subscribers.find_by_phone(session, any_context, "+35921234567")
        assert found is not None
        assert found.email == "eve@example.org"


def test_who_came_without_evidence_is_counted_by_import_until_it_comes(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    bring(any_context, people, "email\neve@example.org\nfay@example.org\n", STORE)
    bring(any_context, people, "email\ngil@example.org\n")
    with any_context.db.reading() as session:
        (found,) = imports.quarantined(session)
    assert (found.file, found.people, found.at) == ("people.csv", 2, any_context.clock.now())
    bring(any_context, people, "email\neve@example.org\n")
    with any_context.db.reading() as session:
        assert [one.people for one in imports.quarantined(session)] == [1]


def test_what_came_without_evidence_is_released_by_the_same_file_with_it(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    assert bring(any_context, people, "email\neve@example.org\n", STORE).quarantined == 1
    released = bring(any_context, people, "email\neve@example.org\n")
    assert (released.quarantined, released.counts.granted) == (0, 1)
    assert set(states(any_context, "eve@example.org").values()) == {"granted"}


def test_consents_on_an_implied_basis_end_by_the_day_of_their_line(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    with any_context.db.writing() as session:
        consents.topic(session, FAIR.topic or "").implied_months = 24
    options = replace(FAIR, basis="soft_opt_in")
    bring(
        any_context,
        people,
        "email,consented_at\neve@example.org,2025-05-31T10:00:00Z\nmax@example.org,2022-01-01\n",
        options,
    )
    ends = {}
    with any_context.db.reading() as session:
        for email in ("eve@example.org", "max@example.org"):
            person = subscribers.find(session, any_context, email)
            assert person is not None
            (view,) = consents.consents_of(session, person.id or 0)
            assert view.valid_until is not None
            ends[email] = f"{view.valid_until:%Y-%m-%d}"
        assert consents.verify(session, any_context).ok
    assert ends == {"eve@example.org": "2027-05-31", "max@example.org": "2024-01-01"}


def test_the_same_file_again_changes_nothing(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    text = (
        "email,name,tracking,city\n"
        "eve@example.org,Eve,yes,Sofia\n"
        "fay@example.org,Fay,no,\n"
        "EVE@example.org,Eve Two,,\n"
        "cleo@example.org,,,Varna\n"
        "nobody,,,\n"
    )
    first = bring(any_context, people, text)
    assert counts(first) == (2, 2, 0, 1)
    before = tables(any_context)
    again = bring(any_context, people, text)
    assert counts(again) == (0, 0, 4, 1)
    assert (again.counts.granted, again.counts.not_granted) == (0, {"withdrawn": 1})
    assert tables(any_context) == before | {"import_run": before["import_run"] + 1}


def test_chunks_leave_nothing_to_the_garbage_collector(
    context: Context, cast: Cast, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It comes by so rarely in an import that what it had to clear away would fill the memory.
    monkeypatch.setattr(imports, "CHUNK", 50)
    left: list[int] = []
    people.write_text(
        "email,plan\n" + "".join(f"p{number}@example.org,team\n" for number in range(300))
    )
    gc.disable()
    try:
        for _ in range(2):
            imports.import_file(
                context, people, FAIR, lambda _done, _size: left.append(gc.collect())
            )
    finally:
        gc.enable()
    # The first of each run also finds what the start of the run left.
    assert [*left[1:6], *left[7:]] == [0] * 10


def test_an_import_first_without_and_then_with_consent_updates(
    context: Context, cast: Cast, people: Path
) -> None:
    assert counts(bring(context, people, "email\neve@example.org\n", STORE)) == (1, 0, 0, 0)
    assert counts(bring(context, people, "email\neve@example.org\n")) == (0, 1, 0, 0)


def test_chunks_make_no_difference(
    context: Context, cast: Cast, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK", 3)
    lines = [f"p{number}@example.org,N{number}" for number in range(20)] + [
        "p0@example.org,New",
        "p1@example.org,N1",
    ]
    result = bring(context, people, "email,name\n" + "\n".join(lines))
    assert counts(result) == (20, 1, 1, 0)
    assert result.counts.granted == 20
    with context.db.reading() as session:
        assert consents.verify(session, context).ok


def test_other_channels_need_a_way_to_reach_the_person(
    context: Context, cast: Cast, people: Path
) -> None:
    post = replace(FAIR, channel="post")
    text = "email,postal address\neve@example.org,1 Example Street\nfay@example.org,\n"
    result = bring(context, people, text, post)
    assert (result.counts.granted, result.counts.not_granted) == (1, {"no_postal_address": 1})
    assert states(context, "eve@example.org") == {("product-news", "post"): "granted"}


# --- never revive ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "after", "not_granted"),
    [
        (None, "granted", {}),
        (ConsentState.GRANTED, "granted", {}),
        (ConsentState.PENDING, "pending", {"pending": 1}),
        (ConsentState.WITHDRAWN, "withdrawn", {"withdrawn": 1}),
        (ConsentState.REFUSED, "refused", {"refused": 1}),
    ],
)
def test_what_a_person_chose_stands(
    any_context: Context,
    people: Path,
    state: ConsentState | None,
    after: str,
    not_granted: Mapping[str, int],
) -> None:
    with any_context.db.writing() as session:
        topic = make_topic(session, any_context)
        eve = make_person(session, any_context, "eve@example.org")
        if state is not None:
            make_consent(session, any_context, eve, topic, state=state)
    events = len(history(any_context, "eve@example.org"))
    result = bring(any_context, people, "email,consented_at\neve@example.org,2026-11-01\n")
    assert states(any_context, "eve@example.org") == {("product-news", "email"): after}
    assert result.counts.not_granted == not_granted
    assert len(history(any_context, "eve@example.org")) == events + (state is None)


COVERING = ["all", "email", "product-news:email"]
OTHERS = ["sms", "events:email", "product-news:post"]


@pytest.mark.parametrize("scope", [*COVERING, *OTHERS])
@pytest.mark.parametrize(
    "reason", [Reason.HARD_BOUNCE, Reason.STOP_ALL, Reason.COMPLAINT, Reason.MANUAL]
)
def test_a_suppression_that_covers_the_consent_keeps_it_away(
    context: Context, cast: Cast, people: Path, scope: str, reason: Reason
) -> None:
    with context.db.writing() as session:
        make_suppression(session, context, "eve@example.org", reason, scope)
    result = bring(context, people, "email,consented_at\nEve@Example.org,2026-11-01\n")
    assert counts(result) == (1, 0, 0, 0)
    granted = scope in OTHERS
    assert result.counts.not_granted == ({} if granted else {reason.value: 1})
    assert bool(states(context, "eve@example.org")) is granted


def test_a_blocked_domain_keeps_everybody_in_it_away(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    with any_context.db.writing() as session:
        suppressions.suppress(
            session,
            any_context,
            domain="example.net",
            scope="domain",
            reason=Reason.DOMAIN,
            source="test",
        )
    result = bring(any_context, people, "email\neve@example.net\nfay@example.org\n")
    assert (result.counts.granted, result.counts.not_granted) == (1, {"domain": 1})


def test_who_was_erased_does_not_come_back_and_nobody_learns_why(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    with any_context.db.writing() as session:
        suppressions.suppress(
            session,
            any_context,
            email="eve@example.org",
            phone="+35921111111",
            scope="all",
            reason=Reason.ERASED,
            source="test",
        )
    before = tables(any_context)
    result = bring(
        any_context, people, "email,phone\nEVE@example.org,\nfay@example.org,+359 21111111\n"
    )
    assert counts(result) == (0, 0, 0, 2)
    assert tables(any_context) == before | {"import_run": 1}
    assert {line[1] for line in rejects(result)[1:]} == {"this address can't be imported"}


def test_an_entry_that_has_run_out_no_longer_counts(
    context: Context, cast: Cast, clock: FrozenClock, people: Path
) -> None:
    with context.db.writing() as session:
        suppressions.suppress(
            session,
            context,
            email="eve@example.org",
            scope="email",
            reason=Reason.SOFT_BOUNCE,
            source="test",
            until=clock.now() + timedelta(days=90),
        )
    assert bring(context, people, "email\neve@example.org\n").counts.granted == 0
    clock.advance(days=90)
    assert bring(context, people, "email\neve@example.org\n").counts.granted == 1


def test_a_restricted_person_and_a_technical_mailbox_get_no_grant(
    context: Context, cast: Cast, people: Path
) -> None:
    with context.db.writing() as session:
        eve = make_person(session, context, "eve@example.org")
        eve.restricted = True
        session.add(eve)
    result = bring(context, people, "email\neve@example.org\npostmaster@example.org\n")
    assert (result.counts.granted, result.counts.not_granted) == (0, {"restricted": 1, "role": 1})


@pytest.mark.parametrize(
    "text",
    [
        "email,name,status\neve@example.org,Eve,blocklisted\n",
        "uuid,email,name,attributes,status,created_at\n1,eve@example.org,Eve,{},disabled,2024-01-01\n",
        "Email Address,First Name,UNSUB_TIME,UNSUB_REASON\neve@example.org,Eve,2024-01-01 10:00:00,N/A\n",
        "Email Address,CLEAN_TIME\neve@example.org,2024-01-01 10:00:00\n",
    ],
)
def test_who_left_in_the_system_before_is_stored_without_a_grant(
    context: Context, cast: Cast, people: Path, text: str
) -> None:
    result = bring(context, people, text)
    assert counts(result) == (1, 0, 0, 0)
    assert result.counts.granted == 0
    assert sum(result.counts.not_granted.values()) == 1
    assert states(context, "eve@example.org") == {}


# --- tracking -------------------------------------------------------------------------------


def test_tracking_answers_are_kept_and_a_no_stays_a_no(
    any_context: Context, any_cast: Cast, people: Path
) -> None:
    with any_context.db.writing() as session:
        make_person(session, any_context, "gus@example.org", tracking=False)
    text = "email,tracking\neve@example.org,yes\nfay@example.org,no\nada@example.org,no\ngus@example.org,yes\nhal@example.org,\n"
    assert counts(bring(any_context, people, text, STORE)) == (3, 1, 1, 0)
    with any_context.db.reading() as session:
        rows = session.exec(select(Subscriber.email, Preference).join(Preference))
        found = {
            email: (preference.track_opens, preference.track_clicks) for email, preference in rows
        }
    yes, no = (TrackingChoice.YES,) * 2, (TrackingChoice.NO,) * 2
    assert found == {
        "eve@example.org": yes,
        "fay@example.org": no,
        "ada@example.org": no,
        "gus@example.org": no,
    }


# --- rejects --------------------------------------------------------------------------------


def test_refused_lines_are_kept_with_their_reasons_for_their_owner_alone(
    context: Context, cast: Cast, people: Path
) -> None:
    result = bring(
        context,
        people,
        'email,phone,name\neve@example.org,0888123456,Eve\n=cmd()@x,,"=1+1"\nfay@example.org,,Fay\ntoo,few\n,,\n',
    )
    assert counts(result) == (1, 0, 0, 4)
    found = rejects(result)
    assert found[0] == ["line", "reason", "email", "phone", "name"]
    assert [line[0] for line in found[1:]] == ["2", "3", "5", "6"]
    assert "country code" in found[1][1]
    assert found[1][2:] == ["eve@example.org", "0888123456", "Eve"]
    assert found[2][2:] == ["'=cmd()@x", "", "'=1+1"]
    assert result.rejects_file is not None
    assert result.rejects_file.is_absolute()
    assert result.rejects_file.parent == context.settings.data_dir / "rejects"
    assert stat.S_IMODE(result.rejects_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(result.rejects_file.parent.stat().st_mode) == 0o700


# --- dry run --------------------------------------------------------------------------------


def test_a_dry_run_says_the_same_and_writes_nothing(
    any_context: Context, any_cast: Cast, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK", 2)
    text = (
        "email,name,tracking\neve@example.org,Eve,\neve@example.org,Eve,yes\nfay@example.org,Fay,\n"
        "eve@example.org,Eve Two,yes\ndan@example.org,,\nno address,,\nada@example.org,,no\neve@example.org,Eve Two,\n"
    )
    before = tables(any_context)
    rehearsed = bring(any_context, people, text, replace(FAIR, dry_run=True))
    assert tables(any_context) == before
    assert rehearsed.rejects_file is None
    assert not (any_context.settings.data_dir / "rejects").exists()
    real = bring(any_context, people, text)
    assert rehearsed.counts == real.counts
    assert counts(real) == (2, 3, 2, 1)
    assert (rehearsed.dry_run, real.dry_run) == (True, False)


# --- going on -------------------------------------------------------------------------------


class Stopped(Exception):
    """Stands for a plug that was pulled."""


def stop_after(chunks: int) -> imports.Progress:
    calls = iter(range(chunks))

    def progress(done: int, size: int) -> None:
        assert 0 < done <= size
        if next(calls, None) is None:
            raise Stopped

    return progress


TEXT = "email,name\n" + "".join(
    f"p{number}@example.org,N{number}\n" if number % 7 else "broken,\n" for number in range(40)
)


@pytest.mark.parametrize("chunks", [0, 1, 4])
def test_the_same_command_goes_on_where_it_stopped(
    any_context: Context, any_cast: Cast, people: Path, monkeypatch: pytest.MonkeyPatch, chunks: int
) -> None:
    monkeypatch.setattr(imports, "CHUNK", 7)
    people.write_text(TEXT)
    with pytest.raises(Stopped):
        imports.import_file(any_context, people, FAIR, stop_after(chunks))
    result = imports.import_file(any_context, people, FAIR)
    assert result.resumed
    assert counts(result) == (34, 0, 0, 6)
    assert result.counts.granted == 34
    assert [line[0] for line in rejects(result)[1:]] == [
        str(number + 2) for number in range(0, 40, 7)
    ]
    with any_context.db.reading() as session:
        (run,) = session.exec(select(ImportRun))
        assert (run.state, run.position) == (ImportState.DONE, 40)
        assert consents.verify(session, any_context).ok


def test_lines_that_were_written_for_a_lost_chunk_are_not_there_twice(
    context: Context, cast: Cast, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK", 7)
    people.write_text(TEXT)
    with pytest.raises(Stopped):
        imports.import_file(context, people, FAIR, stop_after(2))
    (file,) = (context.settings.data_dir / "rejects").iterdir()
    with file.open("a") as lines:
        lines.write("99,written before a commit that never came\n")
    result = imports.import_file(context, people, FAIR)
    assert [line[0] for line in rejects(result)[1:]] == [
        str(number + 2) for number in range(0, 40, 7)
    ]


def test_another_file_or_other_options_begin_anew(
    context: Context, cast: Cast, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK", 7)
    people.write_text(TEXT)
    with pytest.raises(Stopped):
        imports.import_file(context, people, FAIR, stop_after(1))
    assert not imports.import_file(context, people, STORE).resumed
    assert not imports.import_file(context, people, replace(FAIR, source="elsewhere")).resumed
    people.write_text(TEXT + "q@example.org,Q\n")
    assert not imports.import_file(context, people, FAIR).resumed
    people.rename(people.with_name("moved.csv"))


def test_a_moved_file_is_still_the_same(
    context: Context, cast: Cast, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK", 7)
    people.write_text(TEXT)
    with pytest.raises(Stopped):
        imports.import_file(context, people, FAIR, stop_after(1))
    assert imports.import_file(context, people.rename(people.with_name("moved.csv")), FAIR).resumed


def test_two_processes_at_one_file_do_not_both_win(
    any_context: Context, any_cast: Cast, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK", 7)
    people.write_text(TEXT)
    others: list[ImportResult] = []

    def intrude(done: int, size: int) -> None:
        if not others:
            others.append(imports.import_file(any_context, people, FAIR))

    with pytest.raises(Refused, match="Another process"):
        imports.import_file(any_context, people, FAIR, intrude)
    assert counts(others[0]) == (34, 0, 0, 6)
    assert [line[0] for line in rejects(others[0])[1:]] == [str(n + 2) for n in range(0, 40, 7)]
    assert tables(any_context)["import_run"] == 1


# --- wrong calls ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (ImportOptions(topic="product-news"), InvalidInput, "all four"),
        (replace(FAIR, source="  "), InvalidInput, "all four"),
        (replace(FAIR, topic="nothing"), NotFound, "no topic"),
        (replace(FAIR, channel="sms"), Refused, "has no channel"),
        (replace(FAIR, channel="fax"), InvalidInput, "fax"),
        (replace(FAIR, basis="hope"), InvalidInput, "hope"),
        (replace(FAIR, columns={"nope": "email"}), InvalidInput, "no column"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_written(
    context: Context,
    cast: Cast,
    people: Path,
    options: ImportOptions,
    error: type[Exception],
    words: str,
) -> None:
    before = tables(context)
    with pytest.raises(error, match=words):
        bring(context, people, "email\neve@example.org\n", options)
    assert tables(context) == before


def test_the_mapping_is_told_before_anything_is_written(
    context: Context, cast: Cast, people: Path
) -> None:
    people.write_text("Mail,City\neve@example.org,Sofia\n")
    told: list[tuple[Mapping[str, str | None], dict[str, int]]] = []
    before = tables(context)
    imports.import_file(
        context,
        people,
        replace(FAIR, columns={"City": ""}),
        tell=lambda mapping: told.append((mapping, tables(context))),
    )
    assert told == [({"Mail": "email", "City": None}, before)]


def test_the_rule_of_the_ledger_and_of_the_import_agree() -> None:
    # The ledger refuses an import that the rules here would let through, so both have to say the same.
    assert {state for state in [None, *ConsentState] if consents.may_import(state)} == {None}
    assert Channel("email") == "email"
