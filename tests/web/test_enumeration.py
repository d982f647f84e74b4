"""Whoever asks about an address learns nothing: known, unknown and stopped ones get the same bytes (R115, T22)."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from prefcentre.consent import service as consents
from prefcentre.context import Context
from prefcentre.reasons import Reason
from prefcentre.testing.makers import Cast, make_person, make_suppression
from prefcentre.tokens import LinkToken, TokenKind

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


FORMS: dict[str, dict[str, str]] = {
    "/my-data": {"send": "link"},
    "/subscribe": {"choice": "events:email", "save": "sign-up"},
}


def ask(
    client: FlaskClient, address: str, path: str = "/my-data"
) -> tuple[int, bytes, dict[str, str]]:
    answer = client.post(path, data=FORMS[path] | {"email": address})
    return answer.status_code, answer.data, dict(answer.headers)


@pytest.fixture(autouse=True)
def _words(context: Context, cast: Cast) -> None:
    """The words of the form, as the page shows them."""
    with context.db.reading() as session:
        topic = consents.topic(session, "events")
        shown = consents.current_wording(session, topic.id or 0, "en")
    FORMS["/subscribe"]["wording"] = f"events:{shown.id}"


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


@pytest.mark.parametrize("path", FORMS)
def test_every_address_costs_the_database_exactly_the_same_work(
    client: FlaskClient, people: Cast, statements: Callable[[], Counter[str]], path: str
) -> None:
    ask(client, "warm@example.org", path)
    statements()
    costs = {}
    for name, address in ADDRESSES.items():
        ask(client, address, path)
        costs[name] = statements()
    for name, cost in costs.items():
        assert cost["INSERT"] >= 2, name
        assert cost == costs["unknown"], name


def test_an_old_link_of_nobody_costs_what_one_of_somebody_costs(
    context: Context, client: FlaskClient, people: Cast, statements: Callable[[], Counter[str]]
) -> None:
    costs = []
    for public_id in (4711, people.ada.public_id, 4713):
        token = LinkToken(TokenKind.PREFERENCES, public_id)
        path = context.links.page(token).removeprefix(context.settings.public_url)
        statements()
        answer = client.post(path, data={"fresh": "link"})
        costs.append((answer.status_code, answer.data, statements()))
    assert costs[1] == costs[2]
    assert costs[1][2]["INSERT"] == 2
