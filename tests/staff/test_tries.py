"""Tries that come at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from prefcentre.context import Context
from prefcentre.errors import Refused
from prefcentre.staff import service as staff
from prefcentre.staff.rules import FREE_TRIES
from prefcentre.staff.service import Role

CROWD = 12


def test_many_tries_at_once_gain_nothing(any_context: Context) -> None:
    """T34: each is counted before it is judged, and sees those that came in the same moment."""
    together = Barrier(CROWD)

    def attempt(_: int) -> bool:
        together.wait(10)
        with any_context.db.writing() as session:
            return not staff.begin_try(session, any_context, "password", "ada", "192.0.2.1").wait

    with ThreadPoolExecutor(CROWD) as pool:
        assert sum(pool.map(attempt, range(CROWD))) == FREE_TRIES


def test_two_admins_can_not_close_each_other_s_account_at_once(any_context: Context) -> None:
    together = Barrier(2)
    with any_context.db.writing() as session:
        for name in ("ada", "zoe"):
            staff.add(session, any_context, f"{name}@x.example", Role.ADMIN)

    def close(name: str) -> bool:
        try:
            with any_context.db.writing() as session:
                user = staff.by_email(session, f"{name}@x.example")
                assert user
                if not any_context.db.is_sqlite:
                    # There one of them would wait for the other to be done with everything.
                    together.wait(10)
                staff.disable(session, any_context, user, actor="test")
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(close, ["ada", "zoe"])) == [False, True]
