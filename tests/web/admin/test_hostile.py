"""What somebody sends who means harm, to every address of the desk: it is refused or comes to nothing, and is never our fault.

The addresses come from the application and the names from its source, so what is new is asked, too.
"""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter

from prefcentre.context import Context
from prefcentre.doctor import service as doctor
from prefcentre.testing.makers import Cast
from prefcentre.web import admin
from tests.web.admin.conftest import Desk, csrf_token
from tests.web.admin.test_matrix import Way, views, ways

ASKED = re.compile(r'(?:args|values|form)(?:\.get(?:list)?\(|\[)"(\w+)"')
HUGE = str(10**30)


@pytest.fixture(autouse=True)
def _no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody outside is asked."""
    monkeypatch.setattr(doctor, "examine", lambda *_: [])


def names() -> list[str]:
    """Everything that a view looks for in an address or a form."""
    folder = Path(admin.__file__).parent
    found = {name for path in folder.glob("*.py") for name in ASKED.findall(path.read_text())}
    assert {"after", "person"} <= found
    return sorted(found | {"page"})


def gets(context: Context) -> list[Way]:
    return [way for way in ways(context) if way.method == "GET" and way.right is not None]


def failed(client: FlaskClient, found: list[Way], said: dict[str, str]) -> list[tuple[str, int]]:
    answers = [(way.path, client.get(way.path, query_string=said).status_code) for way in found]
    return [one for one in answers if one[1] >= 500]


@pytest.mark.parametrize("text", [HUGE, "-" + HUGE, "9223372036854775807"])
def test_numbers_that_no_row_has_break_no_page(
    context: Context, cast: Cast, desk: Desk, text: str
) -> None:
    assert failed(desk("admin"), gets(context), dict.fromkeys(names(), text)) == []


def test_an_address_with_a_number_that_no_row_has_is_none_of_ours(
    context: Context, desk: Desk
) -> None:
    client = desk("admin")
    token = csrf_token(client)
    app = admin.make(context)
    adapter = app.url_map.bind("news.example.com", url_scheme="https")
    asked = 0
    for rule, _ in views(context):
        if any(isinstance(one, IntegerConverter) for one in rule._converters.values()):
            values = dict.fromkeys(rule.arguments, 7)
            for method in rule.methods - {"OPTIONS", "HEAD"}:
                path = adapter.build(rule.endpoint, values, method=method).replace("/7", "/" + HUGE)
                answer = client.open(path, method=method, data={"csrf_token": token})
                assert answer.status_code == 404, (method, path)
                asked += 1
    assert asked > 10


def test_no_character_that_is_no_text_gets_to_a_database(context: Context, desk: Desk) -> None:
    """PostgreSQL takes no NUL, and answers as if it were our fault."""
    client = desk("admin")
    token = csrf_token(client)
    for way in ways(context):
        if way.right is None:
            continue
        if way.method == "GET":
            answer = client.get(way.path, query_string={"q": "a\x00b"})
        else:
            data = {"csrf_token": token, "note": "a\x00b"}
            answer = client.open(way.path, method=way.method, data=data)
        assert answer.status_code == 400, way
        assert "no text" in answer.text, way
    assert client.get("/admin/campaigns/a%00b").status_code == 404
