"""A link opens its own page and no other: each kind of token on each address, asking and acting (R30, R37)."""

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from prefcentre.context import Context
from prefcentre.links import Links
from prefcentre.rights import visiting
from prefcentre.tokens import LinkToken, TokenKind, issued_on
from tests.web.conftest import CAMPAIGN, Mailed

BODIES: list[dict[str, str]] = [
    {},
    {"stop": "topic"},
    {"stop": "everything"},
    {"List-Unsubscribe": "One-Click"},
    {"form": "choices", "save": "choices", "frequency": "all", "choice": "events:sms"},
    {"confirm": "yes"},
    {"address": "other@example.org", "email": "other@example.org"},
]
NOT_FOUND_OR_NOT_TAKEN = {404, 405}


@pytest.fixture
def tokens(context: Context, ada: Mailed) -> dict[str, str]:
    """One valid token of every kind that exists, and Ada's of open and click links."""
    person = ada.person.public_id
    now = context.clock.now()
    found = {
        kind.name: context.signer.sign(issued_on(LinkToken(kind, person, ada.topic, CAMPAIGN), now))
        for kind in TokenKind
    }
    with context.db.writing() as session:
        data = visiting.make_link(session, context, ada.person).rpartition("/")[2]
    return found | {"TRACKING": ada.tracking_token, "DATA": data}


def with_token(client: FlaskClient) -> Iterator[tuple[Rule, str]]:
    """Every address that takes a token, with the kind that belongs there."""
    paths = {
        Links("", None).page_base(kind).strip("/"): kind.name  # type: ignore[arg-type]
        for kind in TokenKind
    } | {"my-data": "DATA"}
    for rule in client.application.url_map.iter_rules():
        if "text" in rule.arguments:
            yield rule, paths.get(rule.rule.split("/")[1], "TRACKING")


def address(rule: Rule, token: str) -> str:
    path = rule.rule.replace("<text>", token)
    return path.replace("<int(max=99999):number>", "0")


def test_every_kind_of_token_has_an_address(client: FlaskClient, tokens: dict[str, str]) -> None:
    assert {kind for _, kind in with_token(client)} == set(tokens)


def test_a_token_of_another_kind_is_worth_nothing_anywhere(
    client: FlaskClient, tokens: dict[str, str], state: Callable[[], str]
) -> None:
    before, tried = state(), 0
    for rule, own in with_token(client):
        for kind, token in tokens.items():
            if kind == own:
                continue
            path = address(rule, token)
            assert client.get(path).status_code in NOT_FOUND_OR_NOT_TAKEN, (kind, rule.rule)
            for body in BODIES:
                answer = client.post(path, data=body)
                assert answer.status_code in NOT_FOUND_OR_NOT_TAKEN, (kind, rule.rule, body)
                assert "Ada" not in answer.text
                tried += 1
    assert tried > 100
    assert state() == before


def test_a_token_opens_its_own_page(client: FlaskClient, tokens: dict[str, str]) -> None:
    for rule, own in with_token(client):
        if "GET" in (rule.methods or ()) and own not in {"CONFIRM", "SURVEY"}:
            answer = client.get(address(rule, tokens[own]))
            assert answer.status_code in {200, 302}, rule.rule


def test_a_token_that_was_changed_is_worth_nothing(
    client: FlaskClient, tokens: dict[str, str], state: Callable[[], str]
) -> None:
    before = state()
    for rule, own in with_token(client):
        good = tokens[own]
        for place in (0, len(good) // 2, len(good) - 1):
            other = "A" if good[place] != "A" else "B"
            path = address(rule, good[:place] + other + good[place + 1 :])
            assert client.get(path).status_code in NOT_FOUND_OR_NOT_TAKEN, rule.rule
            for body in BODIES:
                assert client.post(path, data=body).status_code in NOT_FOUND_OR_NOT_TAKEN
    assert state() == before


def test_a_link_that_stops_never_grants(
    client: FlaskClient, tokens: dict[str, str], ada: Mailed, state: Callable[[], str]
) -> None:
    """R37: who holds an unsubscribe link may only reduce."""
    before = state()
    for body in BODIES:
        if "stop" not in body and "List-Unsubscribe" not in body:
            assert client.post(ada.unsubscribe, data=body).status_code == 400
    assert state() == before
