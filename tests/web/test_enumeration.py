"""Whoever asks about an address learns nothing: known, unknown and stopped ones get the same bytes (R115, T22)."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from prefcentre.context import Context
from prefcentre.reasons import Reason
from prefcentre.testing.makers import Cast, make_person, make_suppression

ADDRESSES = {
    "known": "ada@example.org",
    "waiting": "ben@example.org",
    "withdrew": "cleo@example.org",
    "dead": "dan@example.org",
    "stopped": "eve@example.org",
    "unknown": "zoe@example.org",
}


@pytest.fixture
def people(context: Context, cast: Cast) -> Cast:
    with context.db.writing() as session:
        make_person(session, context, ADDRESSES["stopped"])
        make_suppression(session, context, ADDRESSES["stopped"], Reason.STOP_ALL)
    return cast


FORMS = {
    "/my-data": {"send": "link"},
    "/subscribe": {"choice": "events:email", "save": "sign-up"},
}


def ask(
    client: FlaskClient, address: str, path: str = "/my-data"
) -> tuple[int, bytes, dict[str, str]]:
    answer = client.post(path, data=FORMS[path] | {"email": address})
    return answer.status_code, answer.data, dict(answer.headers)


@pytest.mark.parametrize("path", FORMS)
def test_every_address_gets_the_same_answer(client: FlaskClient, people: Cast, path: str) -> None:
    answers = {name: ask(client, address, path) for name, address in ADDRESSES.items()}
    assert {answer[0] for answer in answers.values()} == {200}
    for name, answer in answers.items():
        assert answer == answers["unknown"], name
        assert ADDRESSES[name].encode() not in answer[1]


@pytest.fixture
def statements(context: Context) -> Iterator[Callable[[], Counter[str]]]:
    """What was asked of the database since the last look, by its kind."""
    seen: Counter[str] = Counter()

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        seen[statement.split(maxsplit=1)[0].upper()] += 1

    def taken() -> Counter[str]:
        found = Counter(seen)
        seen.clear()
        return found

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield taken
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_every_address_costs_the_database_the_same_kind_of_work(
    client: FlaskClient, people: Cast, statements: Callable[[], Counter[str]]
) -> None:
    ask(client, "warm@example.org")
    statements()
    costs = {}
    for name, address in ADDRESSES.items():
        ask(client, address)
        costs[name] = statements()
    # Taking the lock and writing is the dear part, and everybody's question is written down; one more row is noise.
    for name, cost in costs.items():
        assert cost["INSERT"] >= 1, name
        assert abs(cost.total() - costs["unknown"].total()) <= 2, name
