import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine
from sqlmodel import Session

from prefcentre.app import run_worker
from prefcentre.campaigns.models import Campaign, CampaignState
from prefcentre.consent import service as consent
from prefcentre.context import Context, open_context
from prefcentre.delivery.models import Delivery
from prefcentre.delivery.service import Worker
from prefcentre.errors import Unavailable
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method, Visit
from prefcentre.reasons import Reason
from prefcentre.rights import service as rights
from prefcentre.subscribers import service as subscribers
from prefcentre.suppression import journal
from prefcentre.suppression import queries as suppression_queries
from prefcentre.suppression import service as suppression
from prefcentre.suppression.journal import JournalKind
from prefcentre.testing import FrozenClock, RecordingSmtpServer
from prefcentre.testing.makers import Cast, make_consent, make_suppression
from prefcentre.tokens import LinkToken, TokenKind
from tests.conftest import Cli

DATABASES = ("prefcentre.db", "prefcentre-tracking.db")


def back_up(context: Context, folder: Path) -> None:
    """Yesterday's copy: the databases and nothing else."""
    folder.mkdir()
    context.db.compact()
    for name in DATABASES:
        shutil.copy(context.settings.data_dir / name, folder / name)


@contextmanager
def restored(context: Context, folder: Path, clock: FrozenClock) -> Iterator[Context]:
    """The copy in the place of today's databases, opened anew."""
    context.db.close()
    for name in DATABASES:
        for beside in ("", "-wal", "-shm"):
            (context.settings.data_dir / f"{name}{beside}").unlink(missing_ok=True)
        shutil.copy(folder / name, context.settings.data_dir / name)
    with open_context(context.settings, clock) as opened:
        yield opened


def lines(context: Context) -> list[JournalKind]:
    return [line.kind for line in journal.read(context.settings.journal_dir)]


def unsubscribe(context: Context, cast: Cast) -> None:
    token = LinkToken(TokenKind.UNSUBSCRIBE, cast.ada.public_id, cast.news.id or 0)
    with context.db.writing() as session:
        preferences_done = preferences.unsubscribe(
            session, context, token, Visit(Method.ONE_CLICK, None, None, "en")
        )
    assert preferences_done.changed


def test_what_was_promised_since_the_backup_holds_in_the_restored_database(
    context: Context, cast: Cast, tmp_path: Path, clock: FrozenClock
) -> None:
    make_campaign(context, cast, CampaignState.SENDING)
    back_up(context, tmp_path / "yesterday")
    unsubscribe(context, cast)
    assert rights.erase(context, cast.ben.id or 0, actor="test", at_once=False)
    with context.db.writing() as session:
        person = subscribers.by_id(session, cast.cleo.id or 0)
        assert person
        subscribers.restrict(session, context, person, note="asked", actor="test")
        suppression.note_restriction(session, context, person.consent_ref, restricted=True)
    written = len(lines(context))
    with restored(context, tmp_path / "yesterday", clock) as again:
        assert rights.is_behind(again)
        gap = rights.catch_up(again, actor="test")
        assert gap.kinds == {"suppressed": 2, "erased": 1, "restricted": 1}
        assert gap.campaigns == ("spring",)
        assert not rights.is_behind(again)
        with again.db.reading() as session:
            ada = suppression.check(session, again, "ada@example.org")
            assert [(entry.scope, entry.reason) for entry in ada] == [
                ("product-news:email", Reason.TOPIC)
            ]
            assert subscribers.find(session, again, "ben@example.org") is None
            ben = suppression.check(session, again, "ben@example.org")
            assert [entry.reason for entry in ben] == [Reason.ERASED]
            cleo = subscribers.find(session, again, "cleo@example.org")
            assert cleo is not None
            assert cleo.restricted
            held = session.execute(sa.select(Campaign)).scalars().one()
            assert held.state is CampaignState.HELD
            assert "from a backup" in str(held.held_reason)
        # What was done again was not written again, and there is nothing more to do.
        assert len(lines(again)) == written
        assert rights.catch_up(again, actor="test").lines == 0


def make_campaign(context: Context, cast: Cast, state: CampaignState) -> None:
    with context.db.writing() as session:
        session.add(
            Campaign(
                slug="spring",
                topic_id=cast.news.id or 0,
                state=state,
                created_at=context.clock.now(),
                started_at=context.clock.now(),
            )
        )


def test_who_came_back_by_themselves_is_not_shut_out_again(
    context: Context, cast: Cast, tmp_path: Path, clock: FrozenClock
) -> None:
    back_up(context, tmp_path / "yesterday")
    with context.db.writing() as session:
        make_suppression(session, context, "ada@example.org", Reason.MANUAL)
    with context.db.writing() as session:
        keys = [key for _, key in suppression.keys_of_address(context, "ada@example.org")]
        suppression.lift(
            session,
            context,
            keys=keys,
            scope="all",
            reason=Reason.MANUAL,
            by=suppression.Lifter.STAFF,
            note="a mistake",
        )
    with restored(context, tmp_path / "yesterday", clock) as again:
        rights.catch_up(again, actor="test")
        with again.db.reading() as session:
            assert suppression.check(session, again, "ada@example.org") == []
    assert cast.ada.id


def test_opt_outs_that_come_before_it_has_caught_up_lose_nothing(
    context: Context, cast: Cast, tmp_path: Path, clock: FrozenClock
) -> None:
    back_up(context, tmp_path / "yesterday")
    unsubscribe(context, cast)
    with restored(context, tmp_path / "yesterday", clock) as again:
        with again.db.writing() as session:
            make_suppression(session, again, "new@example.org", Reason.MANUAL)
        assert rights.is_behind(again)
        rights.catch_up(again, actor="test")
        with again.db.reading() as session:
            for email in ("ada@example.org", "new@example.org"):
                assert suppression.check(session, again, email)
        assert not rights.is_behind(again)
        numbers = [line.number for line in journal.read(again.settings.journal_dir)]
        assert numbers == sorted(set(numbers))


def test_the_commands_tell_and_put_right_and_the_ledger_verifies_again(
    context: Context, cast: Cast, tmp_path: Path, clock: FrozenClock, cli: Cli
) -> None:
    assert cli("db", "restore-check", "--json").ok().json["behind"] is False
    back_up(context, tmp_path / "yesterday")
    unsubscribe(context, cast)
    with restored(context, tmp_path / "yesterday", clock) as again:
        behind = cli("db", "restore-check")
        assert behind.code == 1
        assert "1 suppressed" in behind.stdout
        with again.db.reading() as session:
            assert not consent.verify(session, again).ok
        data = cli("db", "catch-up", "--json").ok().json
        assert (data["lines"], data["ledger_ends_put_aside"]) == (1, 1)
        cli("db", "restore-check").ok()
        with again.db.reading() as session:
            assert consent.verify(session, again).ok
        assert list(again.settings.data_dir.glob("consent-heads.lost-*.log"))


def test_a_change_that_was_rolled_back_is_not_in_the_journal(context: Context, cast: Cast) -> None:
    before = lines(context)
    with context.db.reading() as session:
        make_suppression(session, context, "ada@example.org", Reason.MANUAL)
    assert lines(context) == before
    assert cast.ada.id


def test_the_journal_names_nobody(context: Context, cast: Cast) -> None:
    with context.db.writing() as session:
        suppression.suppress(
            session,
            context,
            email="ada@example.org",
            scope="all",
            reason=Reason.MANUAL,
            source="test",
            note="Ada Lovelace called",
        )
    text = (context.settings.journal_dir / journal.FILE_NAME).read_text().lower()
    assert "ada" not in text
    assert cast.ada.id


def test_a_line_that_broke_off_is_left_out(context: Context, cast: Cast) -> None:
    path = context.settings.journal_dir / journal.FILE_NAME
    whole = len(lines(context))
    with path.open("a") as file:
        file.write('{"kind":"suppr')
    assert len(lines(context)) == whole
    assert journal.last_number(context.settings.journal_dir) == whole
    assert cast.dan.id


def test_a_worker_catches_up_before_it_sends_anything(
    context: Context,
    cast: Cast,
    tmp_path: Path,
    clock: FrozenClock,
    smtpd: RecordingSmtpServer,
) -> None:
    """R16: yesterday's backup with a campaign on its way; Ada has left since, Dan's bounce is old, Ben is erased."""
    with context.db.writing() as session:
        for person in (cast.ben, cast.cleo):
            make_consent(session, context, person, cast.events)
    make_campaign(context, cast, CampaignState.SENDING)
    with context.db.writing() as session:
        for number, person in enumerate((cast.ada, cast.ben), 1):
            session.add(
                Delivery(
                    campaign_id=1,
                    id=number,
                    subscriber_id=person.id or 0,
                    key=subscribers.keys_of(session, person.id or 0)[0],
                )
            )
    back_up(context, tmp_path / "yesterday")
    unsubscribe(context, cast)
    assert rights.erase(context, cast.ben.id or 0, actor="test", at_once=False)
    with restored(context, tmp_path / "yesterday", clock) as again:
        looks = iter([False, True])
        # Otherwise each job would be weeks behind, and APScheduler count its way to now second by second.
        with time_machine.travel(clock.now(), tick=True):
            run_worker(again, until=lambda: next(looks, True))
        assert smtpd.messages == []
        assert not rights.is_behind(again)
        with again.db.reading() as session:
            held = session.execute(sa.select(Campaign)).scalars().one()
            assert held.state is CampaignState.HELD


def test_no_list_is_written_from_a_database_that_is_behind(
    context: Context, cast: Cast, tmp_path: Path, clock: FrozenClock, cli: Cli
) -> None:
    back_up(context, tmp_path / "yesterday")
    unsubscribe(context, cast)
    with restored(context, tmp_path / "yesterday", clock):
        refused = cli("exports", "audience", "product-news", "--channel", "post", "--json")
        assert refused.code == 1
        assert "db catch-up" in refused.stderr


async def test_a_sender_refuses_to_begin_with_a_database_that_is_behind(
    context: Context, cast: Cast, tmp_path: Path, clock: FrozenClock
) -> None:
    back_up(context, tmp_path / "yesterday")
    unsubscribe(context, cast)
    with (
        restored(context, tmp_path / "yesterday", clock) as again,
        pytest.raises(Unavailable, match="db catch-up"),
    ):
        await Worker(again).run(asyncio.Event())


def test_a_journal_that_can_not_be_read_is_said_and_not_passed_over(
    context: Context, cast: Cast
) -> None:
    path = context.settings.journal_dir / journal.FILE_NAME
    path.unlink()
    path.mkdir()
    with pytest.raises(Unavailable, match="journal"):
        rights.is_behind(context)
    assert cast.ada.id


def test_who_leaves_while_somebody_looks_makes_no_database_look_old(
    any_context: Context, any_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that began at that moment held every campaign and waited for a person."""
    context = any_context
    make_campaign(context, any_cast, CampaignState.SENDING)

    def somebody_leaves(email: str) -> None:
        with context.db.writing() as session:
            assert suppression.suppress(
                session, context, email=email, scope="all", reason=Reason.STOP_ALL, source="test"
            )

    known = suppression_queries.journal_mark

    def known_a_moment_ago(session: Session) -> int:
        mark = known(session)
        somebody_leaves(f"{mark}@example.org")
        return mark

    monkeypatch.setattr(suppression_queries, "journal_mark", known_a_moment_ago)
    with context.db.reading() as session:
        session.execute(sa.text("SELECT count(*) FROM subscriber")).scalar_one()
        somebody_leaves("first@example.org")
        assert not rights.look_at_journal(session, context).is_behind
    assert not rights.catch_up(context, actor="worker").is_behind
    assert len(lines(context)) >= 3
    with context.db.reading() as session:
        assert (
            session.execute(sa.text("SELECT state FROM campaign")).scalar_one()
            == CampaignState.SENDING
        )
