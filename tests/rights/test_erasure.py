import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.delivery.models import DeliveryState
from prefcentre.preferences.service import Method, Visit
from prefcentre.reasons import Reason
from prefcentre.rights import erasing
from prefcentre.rights import service as rights
from prefcentre.signups import service as signups
from prefcentre.signups.models import Confirmation
from prefcentre.subscribers import service as subscribers
from prefcentre.suppression import service as suppression
from prefcentre.testing.makers import make_person
from tests.conftest import Cli
from tests.rights import somebody as wanda


def value(context: Context, statement: str) -> object:
    with context.db.reading() as session:
        return session.execute(sa.text(statement)).scalar()


@pytest.fixture
def erased(context: Context) -> wanda.Somebody:
    found = wanda.seed(context)
    before = wanda.files_with_traces(context.settings.data_dir)
    # What is looked for afterwards was there, in the databases and in each file.
    assert {"prefcentre-tracking.db-wal", "rejects/people.csv"} <= set(before)
    done = rights.erase(context, found.id, actor="test", at_once=True)
    assert done is not None
    assert done.is_finished
    return found


def test_no_byte_of_them_is_left_in_any_file(context: Context, erased: wanda.Somebody) -> None:
    assert wanda.files_with_traces(context.settings.data_dir) == {}
    assert erased.id


def test_lines_of_others_in_files_stay_as_they_were(
    context: Context, erased: wanda.Somebody
) -> None:
    folder = context.settings.data_dir
    assert (folder / "rejects/people.csv").read_text() == "line,reason,email,name\n3,bad,x,Ben\n"
    assert (folder / "imports/abc/people.csv").read_text() == "email;name\nada@example.org;Ada\n"
    assert (folder / "exports/audience-news-post.csv").read_text().endswith('Ben,"2 Way"\n')
    assert not (folder / "imports/abc/notes.xml").exists()
    assert erased.id


def test_rows_that_stay_lead_to_nobody(context: Context, erased: wanda.Somebody) -> None:
    """Only suppressions keep a hash; what else there is says a number that belongs to nobody any more."""
    hashes = set(erased.keys)
    for table, row in wanda.rows_about(context, erased):
        if table != "suppression":
            assert not {one for one in row.values() if isinstance(one, bytes)} & hashes, table
    with context.db.reading() as session:
        assert subscribers.by_id(session, erased.id) is None
        assert subscribers.find(session, context, wanda.EMAIL) is None


def test_what_waited_for_them_has_ended_and_outcomes_still_add_up(
    context: Context, erased: wanda.Somebody
) -> None:
    with context.db.reading() as session:
        rows = session.execute(sa.text("SELECT state, reason FROM delivery ORDER BY campaign_id"))
        assert [tuple(row) for row in rows] == [
            (DeliveryState.FAILED.value, None),
            (DeliveryState.SUPPRESSED.value, Reason.ERASED.value),
        ]
    assert erased.id


def test_the_proof_of_their_former_consent_still_verifies(
    context: Context, erased: wanda.Somebody, cli: Cli
) -> None:
    with context.db.reading() as session:
        found = consent.verify(session, context)
        former = rights.former_consents(session, context, wanda.EMAIL)
    assert found.ok, found.message
    assert [(one["action"], one["channel"]) for one in former] == [
        ("granted", "email"),
        ("granted", "phone"),
        ("withdrawn", "email"),
        ("withdrawn", "phone"),
    ]
    assert former[0]["wording"] == "Yes, send me Product news."
    assert "203.0.113" not in json.dumps(former, default=str)
    told = cli("consents", "history", wanda.EMAIL, "--json").ok().json["events"]
    assert [one["seq"] for one in told] == [one["seq"] for one in former]
    assert erased.id


def test_a_file_can_not_bring_them_back(
    context: Context, erased: wanda.Somebody, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"email,name\n{wanda.EMAIL.lower()},Wanda\nnew@example.org,New\n")
    found = cli("subscribers", "import", file, "--json").ok().json
    assert (found["added"], found["refused"]) == (1, 1)
    assert value(context, "SELECT count(*) FROM subscriber WHERE email LIKE 'wanda%'") == 0
    # Not even the file of refused lines says again who they are.
    assert wanda.files_with_traces(context.settings.data_dir) == {}
    assert erased.id


def test_their_own_sign_up_works_again(context: Context, erased: wanda.Somebody) -> None:
    form = signups.SignUp(
        places=frozenset({("product-news", consent.Channel.EMAIL)}), email=wanda.EMAIL
    )
    visit = Visit(Method.SIGN_UP, None, None, "en")
    with context.db.writing() as session:
        signups.sign_up(session, context, form, visit)
    with context.db.writing() as session:
        asked = session.execute(sa.select(Confirmation)).scalars().one()
        assert signups.confirm_sign_up(session, context, asked, visit) is not None
    with context.db.reading() as session:
        person = subscribers.find(session, context, wanda.EMAIL)
        assert person is not None
        assert person.id != erased.id
        states = [view.state.value for view in consent.consents_of(session, person.id or 0)]
        assert states == ["granted"]
        reasons = {entry.reason for entry in suppression.check(session, context, wanda.EMAIL)}
        # What they objected to before stands; what erasure put up does not.
        assert reasons == {Reason.OBJECTION}


def test_an_erasure_that_was_interrupted_is_finished_by_a_worker(context: Context) -> None:
    found = wanda.seed(context)
    done = rights.erase(context, found.id, actor="test", at_once=False)
    assert done is not None
    assert not done.is_finished
    with context.db.reading() as session:
        assert rights.waiting_since(session) == context.clock.now()
    assert rights.finish(context)
    assert wanda.files_with_traces(context.settings.data_dir) == {}
    with context.db.reading() as session:
        assert rights.waiting_since(session) is None


def test_who_still_reads_an_older_state_puts_the_end_off(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = wanda.seed(context)
    monkeypatch.setattr(type(context.db), "compact", lambda _: False)
    done = rights.erase(context, found.id, actor="test", at_once=True)
    assert done is not None
    assert not done.is_finished
    with context.db.reading() as session:
        assert rights.waiting_since(session) == context.clock.now()


def test_files_of_an_import_under_way_are_left_alone_and_named(context: Context) -> None:
    found = wanda.seed(context)
    path = context.settings.data_dir / "imports/abc/people.csv"
    with context.db.writing() as session:
        session.execute(
            sa.text("UPDATE import_run SET state = 'running', stored_file = :path"),
            {"path": str(path)},
        )
    before = path.read_bytes()
    done = rights.erase(context, found.id, actor="test", at_once=True)
    assert done is not None
    assert path in done.later
    assert not done.is_finished
    assert path.read_bytes() == before


def test_erasing_twice_is_refused_and_the_command_says_so(context: Context, cli: Cli) -> None:
    wanda.seed(context)
    data = cli("subscribers", "erase", wanda.EMAIL, "--json").ok().json
    assert data["finished"]
    again = cli("subscribers", "erase", wanda.EMAIL)
    assert again.code == 1
    assert "all (erased)" in again.stderr
    assert wanda.files_with_traces(context.settings.data_dir) == {}


def test_on_postgresql_no_row_is_left(pg_context: Context) -> None:
    found = wanda.seed(pg_context)
    assert rights.erase(pg_context, found.id, actor="test", at_once=True)
    hashes = set(found.keys)
    for table, row in wanda.rows_about(pg_context, found):
        text = str({name: value for name, value in row.items() if name != "at"}).lower()
        assert not any(trace in text for trace in wanda.TRACES), table
        if table != "suppression":
            assert not {one for one in row.values() if isinstance(one, bytes)} & hashes, table


def test_a_person_without_address_and_number_is_erased_too(context: Context) -> None:
    with context.db.writing() as session:
        person = make_person(session, context, None, "Paula Post", postal_address="9 Lane")
    assert rights.erase(context, person.id or 0, actor="test", at_once=False)
    with context.db.reading() as session:
        assert subscribers.by_id(session, person.id or 0) is None


def test_somebody_who_is_gone_is_nobody_to_erase(context: Context) -> None:
    assert erasing.erase(context, 77, actor="test", at_once=False) is None


def test_commands_know_every_table_that_they_need(context: Context, program: Cli) -> None:
    """In a process of its own, where no other test has loaded what a command forgets to load."""
    wanda.seed(context)
    program("retention", "run", "--json").ok()
    assert program("subscribers", "erase", wanda.EMAIL, "--json").ok().json["finished"]
    assert wanda.files_with_traces(context.settings.data_dir) == {}
