"""What somebody sends who means harm, to every address of the desk: it is refused or comes to nothing, and is never our fault.

The addresses come from the application and the names from its source, so what is new is asked, too.
"""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter

from prefcentre.audit import service as audit
from prefcentre.context import Context
from prefcentre.doctor import service as doctor
from prefcentre.testing.makers import Cast
from prefcentre.web import admin
from prefcentre.web.admin import gates, noting
from tests.web.admin.conftest import Desk, csrf_token, post
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


# --- who did it -----------------------------------------------------------------------------------


def acts(context: Context) -> list[tuple[str, str]]:
    with context.db.reading() as session:
        return [
            (act.action.value, str(act.details.get("page", ""))) for act in audit.newest(session)
        ]


def test_what_notes_nothing_more_exact_is_noted_all_the_same(context: Context, desk: Desk) -> None:
    """T33: each form of somebody who is signed in leaves a line, whatever its view forgets."""
    client = desk("admin")
    assert acts(context)[0] == ("staff_signed_in", "")
    post(client, "/admin/me", {"name": "Somebody else", "zone": "UTC"})
    assert acts(context)[0] == ("desk_used", "describe_me")
    post(client, "/admin/me/sessions/end-others")
    assert acts(context)[0] == ("desk_used", "end_other_sessions")
    post(client, "/admin/logout")
    assert acts(context)[0] == ("desk_used", "logout")


def test_what_is_noted_exactly_is_noted_once(context: Context, desk: Desk) -> None:
    client = desk("admin")
    before = len(acts(context))
    data = {"key": "news", "name": "News", "channel": "email", "wording": "Yes, write to me."}
    assert post(client, "/admin/topics/new", data).status_code == 303
    assert [name for name, _ in acts(context)][: len(acts(context)) - before] == ["topic_changed"]


def test_a_form_without_a_line_is_quiet_on_purpose(context: Context) -> None:
    """Whoever adds one says why there; one that is gone leaves the list."""
    unsafe = {way.endpoint for way in ways(context) if way.method != "GET"}
    assert set(noting.QUIET) <= unsafe
    assert len(noting.QUIET) <= 3


# --- a stolen session -----------------------------------------------------------------------------


def test_these_ask_for_the_password_once_more(context: Context) -> None:
    """T33: what takes people's data away, sends, or gives power; taking one off the list has to be said here."""
    fresh = {rule.endpoint for rule, view in views(context) if getattr(view, "fresh", False)}
    assert fresh >= {
        "admin.campaign_confirm",
        "admin.campaign_csv",
        "admin.campaign_people_csv",
        "admin.campaign_resolve",
        "admin.campaign_resume",
        "admin.campaign_start",
        "admin.import_changes",
        "admin.import_rejects",
        "admin.person_export",
        "admin.rights_close",
        "admin.staff_disable",
        "admin.staff_end_sessions",
        "admin.staff_invite",
        "admin.staff_link",
        "admin.staff_role",
        "admin.suppression_export",
        "admin.suppression_rejects",
    }
    exports = {rule.endpoint for rule, view in views(context) if rule.rule.endswith(".csv")}
    assert exports <= fresh


# --- large bodies ---------------------------------------------------------------------------------


def takes_files(context: Context) -> list[Way]:
    large = {rule.endpoint for rule, view in views(context) if getattr(view, "largest", None)}
    return [way for way in ways(context) if way.endpoint in large and way.method == "POST"]


def test_only_those_who_may_use_a_page_send_it_more_than_a_form(
    context: Context, desk: Desk
) -> None:
    """A stranger's hundred megabytes would be read and kept on disk only to find no token in them."""
    viewer = desk("viewer")
    stranger = viewer.application.test_client()
    found = takes_files(context)
    assert {way.endpoint for way in found} >= {
        "admin.import_upload",
        "admin.media_upload",
        "admin.suppression_import",
    }
    body = b"--x\r\n\r\n" + b"." * admin.LARGEST_BODY + b"\r\n--x--\r\n"
    found_by = {}
    for way in found:
        for who, client in (("stranger", stranger), ("viewer", viewer)):
            answer = client.post(
                way.path,
                content_type="multipart/form-data; boundary=x",
                data=body,
            )
            found_by[who, way.endpoint] = answer.status_code
    assert set(found_by.values()) == {413}, found_by


# --- elsewhere ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "onward",
    [
        "//evil.example/admin",
        "https://evil.example/admin",
        "https:/evil.example/admin",
        "/\\evil.example/admin",
        "\\\\evil.example/admin",
        "/admin\\@evil.example",
        "///evil.example/admin",
        "javascript:alert(1)//admin",
        "/administrator",
        "/adminevil",
        "\t//evil.example/admin",
        "/\t/evil.example/admin",
        "http:evil.example/admin",
        "@evil.example/admin",
        "admin.evil.example",
        "/%2f%2fevil.example/admin",
    ],
)
def test_nobody_is_led_elsewhere_after_proving_who_they_are(onward: str) -> None:
    """Open redirects (ASVS 3.7.2)."""
    assert gates.safe_next(onward) == "/admin"
