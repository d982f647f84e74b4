"""Hostile words in every text that any table keeps, and every page of the desk read as a browser reads it (S3, T5, T6).

The columns come from the tables and the pages from the application, so what is new is tried, too.
"""

import io
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import html
from sqlmodel import SQLModel
from werkzeug.routing import IntegerConverter

from prefcentre.contact import service as contact
from prefcentre.context import Context
from prefcentre.doctor import service as doctor
from prefcentre.people import importing
from prefcentre.rights import service as rights
from prefcentre.testing.makers import Cast
from prefcentre.web import admin
from tests.web.admin.campaigns import finished
from tests.web.admin.conftest import Desk, post
from tests.web.admin.test_matrix import views

MARK = "q1w2"
RUNS = f"<{MARK}>"
PAYLOADS = {
    "markup": " ".join(
        (
            # Out of an attribute, however it is quoted, and out of elements that hold no markup.
            RUNS, f'">{RUNS}', f"'>{RUNS}", f'" on{MARK}=1 x="', f"' on{MARK}=1 x='", f"` on{MARK}=1 x=`",
            f"</script>{RUNS}", f"</style>{RUNS}", f"</textarea>{RUNS}", f"</title>{RUNS}", f"</option></select>{RUNS}",
            f"--><!-->{RUNS}", f"]]>{RUNS}", f"<svg><{MARK}/on{MARK}=1>", f"<math><mtext><{MARK}>", f"<!doctype><{MARK}/>",
            # Decoded once too often.
            f"&lt;{MARK}&gt;", f"&amp;lt;{MARK}&amp;gt;", f"%3C{MARK}%3E", f"\\u003c{MARK}\\u003e", f"\\x3c{MARK}\\x3e",
            # Made into ASCII by somebody who means well.
            f"\uff1c{MARK}\uff1e", f"\u2039{MARK}\u203a", f"<\u200b{MARK}>", f"\u202e>{MARK}<",
            # Templates of the server, of browsers, of style sheets.
            "{{ 7*7*7*1337 }}", "{% print(7*7*7*1337) %}", "${7*7*7*1337}", "#{7*7*7*1337}", "<%= 7*7*7*1337 %>",
            f"}}}}{RUNS}", f"*/;}}body{{background:url({MARK})", f"expression({MARK})", f"<{MARK}",
        )
    ),
    "script address": f"javascript:{MARK}()",
    "script address in capitals": f"\tJaVa\nScRiPt:{MARK}()//<{MARK}>",
    "document": f"data:text/html,<{MARK}>",
}  # fmt: skip
WORKED_OUT = str(7 * 7 * 7 * 1337)
# What others have written never gets there: names of rows, hashes, times of day, and what decides how a text is read.
OURS = {
    "public_id", "slug", "key", "scope", "state", "zone", "timezone", "language", "password", "fs_uniquifier", "email",
    "actor", "run", "base", "fs_webauthn_user_handle", "tf_primary_method", "tf_totp_secret", "stored_file", "url",
    "body_format", "channel", "toml", "template", "sought_email", "sought_name", "sought_last", "fingerprint", "phone",
}  # fmt: skip
ADDRESSES = (
    "href",
    "src",
    "action",
    "formaction",
    "srcdoc",
    "data",
    "xlink:href",
    "hx-get",
    "hx-post",
    "poster",
    "style",
)
CODE = ("script", "style")


@pytest.fixture(autouse=True)
def _no_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody outside is asked."""
    monkeypatch.setattr(doctor, "examine", lambda *_: [])


def fill(context: Context, cast: Cast, desk: Desk) -> None:
    """A row in as many tables as staff and strangers can write to."""
    finished(context, cast)
    with context.db.writing() as session:
        form = contact.Form("question", "Eve", "eve@example.org", "", "Hello?")
        contact.take_in(session, context, form, ip=None, language="en")
        asked = rights.NewRequest(
            kind="access", came_by="letter", email="eve@example.org", name="Eve", message="A copy."
        )
        rights.take_in(session, context, asked, actor="staff")
    client, person = desk("admin"), f"/admin/people/{cast.ada.public_id}"
    post(client, f"{person}/edit", {"attribute": ["city"], "value": ["x"], "note": "n"})
    post(client, f"{person}/suppress", {"scope": "sms", "reason": "manual", "note": "n"})
    post(client, "/admin/snippets", {"name": "piece", "body": "words"})
    file = io.BytesIO(b"email,name\neve@example.org,Eve\nnobody,x\n")
    post(client, "/admin/people/import", {"file": (file, "people.csv")})
    post(client, "/admin/people/import/1/check", {"column": [], "field": []})
    importing.work(context)


def spoil(context: Context, payload: str) -> int:
    """Write it into every text that somebody else may have written; gives into how many columns it went."""
    done = 0
    for table in SQLModel.metadata.sorted_tables:
        for column in table.columns:
            wanted = _spoiled(column, payload)
            if wanted is None:
                continue
            with context.db.writing() as session:
                try:
                    with session.begin_nested():
                        found = session.execute(sa.update(table).values({column.name: wanted}))
                except sa.exc.IntegrityError:
                    continue
                done += found.rowcount > 0  # type: ignore[attr-defined]
    return done


def _spoiled(column: sa.Column[Any], payload: str) -> Any:
    if column.name in OURS or column.foreign_keys or column.unique or column.primary_key:
        return None
    if column.name in {"attributes", "details"}:
        return {payload: payload, "key": payload}
    kind = column.type.impl if isinstance(column.type, sa.types.TypeDecorator) else column.type
    if isinstance(kind, sa.String) and not isinstance(kind, sa.Enum):
        return payload
    return None


def pages(context: Context, cast: Cast) -> list[str]:
    app = admin.make(context)
    adapter = app.url_map.bind("news.example.com", url_scheme="https")
    known: dict[str, Any] = {
        "public_id": cast.ada.public_id,
        "slug": "spring",
        "key": "product-news",
    }
    return [
        adapter.build(
            rule.endpoint,
            {
                name: known.get(name, 1 if isinstance(kind, IntegerConverter) else "newsletter")
                for name, kind in rule._converters.items()
            },
        )
        for rule, view in views(context)
        if "GET" in rule.methods and view.right is not None
    ]


def harm(text: str) -> list[str]:
    """What a browser would run or load of what was stored."""
    found = [f"worked out: {WORKED_OUT}"] if WORKED_OUT in text else []
    for element in html.document_fromstring(text or "<p>").iter("*"):
        name = str(element.tag)
        if MARK in name or (name in CODE and MARK in (element.text or "")):
            found.append(f"<{name}>")
        for key, value in element.attrib.items():
            told = "".join(str(value).split()).lower()
            if MARK in key or (key.startswith("on") and MARK in told):
                found.append(f"{name} {key}")
            if key in ADDRESSES and told.startswith(("javascript:", "data:text", "vbscript:")):
                found.append(f"{name} {key}={value}")
            if key == "style" and MARK in told:
                found.append(f"{name} style")
    return found


def test_the_reading_finds_what_would_run() -> None:
    for text in (
        RUNS,
        f'<p title="x" on{MARK}=1>',
        f"<a href=' java\nscript:{MARK}'>",
        f"<script>var x='{MARK}'</script>",
        f'<p style="background:url({MARK})">',
        WORKED_OUT,
    ):
        assert harm(f"<html><body>{text}</body></html>"), text
    assert harm(f'<html><body title="&lt;{MARK}&gt;">&lt;{MARK}&gt;</body></html>') == []


@pytest.mark.parametrize(
    "kind", ["markup", *(pytest.param(one, marks=pytest.mark.full) for one in [*PAYLOADS][1:])]
)
def test_nothing_that_is_stored_is_run_on_any_page(
    context: Context, cast: Cast, desk: Desk, kind: str
) -> None:
    fill(context, cast, desk)
    client = desk("admin")
    assert spoil(context, PAYLOADS[kind]) > 40
    shown = 0
    for path in pages(context, cast):
        answer = client.get(path)
        assert answer.status_code < 500, path
        assert "\n" not in "".join(answer.headers.values()), path
        if not answer.content_type.startswith("text/html"):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            continue
        if "sandbox" in answer.headers["Content-Security-Policy"]:
            # Somebody's own mail, in a frame that has no origin and runs nothing.
            continue
        assert harm(answer.text) == [], path
        shown += MARK in answer.text
    assert shown > 10
