"""Campaigns at the desk: listed, written, looked at, tried; and what somebody hostile could put into them."""

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from prefcentre.audit import service as audit
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.models import CampaignState
from prefcentre.context import Context
from prefcentre.testing import FrozenClock, RecordingSmtpServer
from prefcentre.testing.makers import Cast, make_person
from prefcentre.web.admin import checks
from tests.web.admin.conftest import Desk, csrf_token, post

FORM = {
    "name": "Autumn",
    "topic": "product-news",
    "template": "letter",
    "subject": "Autumn is here",
    "preheader": "",
    "sender": "Acme <news@mail.example.com>",
    "reply_to": "hello@example.com",
    "opens": "yes",
    "body": "Hello {{ subscriber.first_name|default('there') }},\r\n\r\n[all of it](https://www.example.com/a)\r\n",
    "text": "",
    "revision": "1",
}
PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}<b>",
]


@pytest.fixture
def author(desk: Desk, cast: Cast) -> FlaskClient:
    return desk("author")


@pytest.fixture
def autumn(author: FlaskClient) -> FlaskClient:
    new = {"name": "Autumn", "topic": "product-news", "template": "letter", "form": "md"}
    answer = post(author, "/admin/campaigns/new", new)
    assert answer.location == "/admin/campaigns/autumn"
    assert save(author).json["trouble"] is None
    return author


def save(client: FlaskClient, slug: str = "autumn", **changes: str) -> Any:
    """As the script does it."""
    token = csrf_token(client)
    return client.post(
        f"/admin/campaigns/{slug}",
        data=FORM | changes | {"csrf_token": token},
        headers={"Accept": "application/json", "Referer": "https://news.example.com/admin"},
    )


def preview(client: FlaskClient, query: str = "") -> str:
    return client.get(f"/admin/campaigns/autumn/preview?{query}").text


# --- Lists --------------------------------------------------------------------------------------------------------


def test_an_empty_installation_teaches_how_to_begin(author: FlaskClient) -> None:
    page = author.get("/admin/campaigns").text
    assert "/admin/campaigns/new" in page


def test_the_list_filters_by_what_the_address_says(autumn: FlaskClient) -> None:
    assert (
        "Autumn"
        in autumn.get("/admin/campaigns?q=AUT&state=draft&topic=product-news&sort=name").text
    )
    for query in ("state=finished", "q=winter", "topic=events"):
        assert "/admin/campaigns/autumn" not in autumn.get(f"/admin/campaigns?{query}").text


@pytest.mark.parametrize(
    "query", ["sort=slug;drop", "page=-3", "page=x", "state=nope", "topic=nope", "q=%25_\\'"]
)
def test_nonsense_in_the_address_shows_the_list_all_the_same(
    autumn: FlaskClient, query: str
) -> None:
    assert autumn.get(f"/admin/campaigns?{query}").status_code == 200


def test_the_calendar_shows_a_campaign_on_the_viewers_day(
    autumn: FlaskClient, context: Context
) -> None:
    with context.db.writing() as session:
        number = campaigns.get(session, "autumn").id or 0
        start_at = context.clock.now().replace(day=30, hour=9)
        campaigns.set_state(
            session, number, set(CampaignState), CampaignState.SCHEDULED, start_at=start_at
        )
    page = autumn.get("/admin/campaigns/calendar?month=2026-11").text
    day = page[page.index('datetime="2026-11-30"') :].partition("</td>")[0]
    assert "Autumn" in day
    assert "Autumn" not in autumn.get("/admin/campaigns/calendar?month=2027-02").text
    assert autumn.get("/admin/campaigns/calendar?month=nonsense").status_code == 200


# --- Beginning ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": " "}, "Give the campaign a name"),
        ({"topic": ""}, "Choose a topic"),
        ({"topic": "nope"}, "There is no topic"),
        ({"template": "nope"}, "There is no template"),
        ({"slug": "../etc"}, "small letters"),
        ({"slug": "spring-release"}, "already"),
        ({"copy": "nope", "topic": ""}, "There is no campaign"),
    ],
)
def test_a_wrong_entry_is_told_and_what_was_typed_stays(
    author: FlaskClient, wrong: dict[str, str], words: str
) -> None:
    typed = {"name": "Winter", "topic": "product-news", "template": "letter", "form": "md"} | wrong
    answer = post(author, "/admin/campaigns/new", typed)
    assert answer.status_code == 400
    assert words in answer.text
    assert f'value="{typed["name"]}"' in answer.text


def test_a_copy_says_the_same_under_a_new_name(autumn: FlaskClient, context: Context) -> None:
    answer = post(autumn, "/admin/campaigns/new", {"name": "Winter", "copy": "autumn", "topic": ""})
    assert answer.location == "/admin/campaigns/winter"
    with context.db.reading() as session:
        old, new = (campaigns.texts(session, context, slug) for slug in ("autumn", "winter"))
    assert (new.body, campaigns.fields_of(new.toml).name) == (old.body, "Winter")


# --- Writing ------------------------------------------------------------------------------------------------------


def test_a_save_answers_with_what_is_wrong_and_where(autumn: FlaskClient) -> None:
    told = save(autumn, revision="2", body="Fine\n{{ subscriber.nope }}").json
    assert told["revision"] == 3
    assert told["saved"].startswith("Saved at ")
    assert (told["trouble"]["field"], told["trouble"]["line"]) == ("body", 2)
    for changed, field in (
        ({"subject": ""}, "subject"),
        ({"subject": "{{ nope }}"}, "subject"),
        ({"sender": "nobody"}, "sender"),
        ({"template": "nope"}, "template"),
        ({"preheader": "{% if"}, "preheader"),
        ({"text": "{{ nope }}"}, "text"),
    ):
        told = save(autumn, revision=str(told["revision"]), **changed).json
        assert told["trouble"]["field"] == field


def test_what_is_wrong_stands_beside_its_field_without_scripts(autumn: FlaskClient) -> None:
    save(autumn, revision="2", subject="")
    page = autumn.get("/admin/campaigns/autumn").text
    wrong = re.search(r'data-wrong="subject"[^>]*>([^<]*)<', page)
    assert wrong
    assert "subject" in wrong[1]


def test_two_editors_lose_nothing(autumn: FlaskClient) -> None:
    assert save(autumn, revision="2", body="Tom's").status_code == 200
    refused = save(autumn, revision="2", body="Mira's")
    assert (refused.status_code, "has saved" in refused.json["problem"]) == (409, True)
    by_form = post(
        autumn, "/admin/campaigns/autumn", FORM | {"revision": "2", "body": "Mira's <b>"}
    )
    assert by_form.status_code == 409
    assert "Mira&#39;s &lt;b&gt;" in by_form.text
    assert "Tom&#39;s" in autumn.get("/admin/campaigns/autumn").text


def test_who_wrote_is_noted_once_a_sitting(
    desk: Desk, autumn: FlaskClient, context: Context, clock: FrozenClock
) -> None:
    def noted() -> int:
        with context.db.reading() as session:
            return sum(act.action == "campaign_written" for act in audit.newest(session))

    before = noted()
    save(autumn, revision="2", body="One")
    save(autumn, revision="3", body="Two")
    assert noted() == before
    save(desk("sender"), revision="4", body="Three")
    assert noted() == before + 1
    clock.advance(minutes=20)
    save(desk("sender"), revision="5", body="Four")
    assert noted() == before + 2


def test_a_form_without_scripts_saves_and_comes_back(autumn: FlaskClient) -> None:
    answer = post(
        autumn, "/admin/campaigns/autumn?view=phone", FORM | {"revision": "2", "body": "New"}
    )
    assert (answer.status_code, answer.location) == (303, "/admin/campaigns/autumn?view=phone")
    assert "New" in preview(autumn)


def test_a_scheduled_campaign_is_shown_and_not_written(
    autumn: FlaskClient, context: Context
) -> None:
    with context.db.writing() as session:
        number = campaigns.get(session, "autumn").id or 0
        campaigns.set_state(session, number, set(CampaignState), CampaignState.SCHEDULED)
    assert "take it off the schedule" in autumn.get("/admin/campaigns/autumn").text
    assert save(autumn, revision="2", body="Late").status_code == 409


def test_a_viewer_may_look_and_not_write(desk: Desk, autumn: FlaskClient) -> None:
    viewer = desk("viewer")
    assert viewer.get("/admin/campaigns/autumn").status_code == 200
    assert save(viewer, revision="2").status_code == 403
    for path in (
        "/admin/campaigns/new",
        "/admin/media",
        "/admin/snippets",
        "/admin/campaigns/autumn/checks",
    ):
        assert post(viewer, path, {"name": "x"}).status_code == 403
    author = post(autumn, "/admin/campaigns/autumn/test", {})
    assert author.status_code == 403


def test_a_form_that_is_not_ours_is_refused(autumn: FlaskClient) -> None:
    assert autumn.post("/admin/campaigns/autumn", data=FORM).status_code == 400
    assert autumn.post("/admin/media", data={}).status_code == 400


def test_an_unknown_campaign_is_not_found(author: FlaskClient) -> None:
    for path in ("", "/preview", "/checks", "/words"):
        assert author.get(f"/admin/campaigns/nope{path}").status_code == 404


# --- The preview --------------------------------------------------------------------------------------------------


def test_the_preview_shows_what_a_named_reader_gets(
    autumn: FlaskClient, cast: Cast, context: Context
) -> None:
    assert "Hello Ada," in preview(autumn)
    assert "Hello Клео," in preview(autumn, f"person={cast.cleo.public_id}")
    assert "<pre>Hello Ben," in preview(autumn, f"person={cast.ben.public_id}&view=text")
    found = autumn.get("/admin/campaigns/autumn/readers?reader=cleo@example.org").text
    assert str(cast.cleo.public_id) in found


def test_dark_and_light_are_decided_here_and_not_by_the_viewers_screen(
    autumn: FlaskClient,
) -> None:
    dark, light = preview(autumn, "dark=1"), preview(autumn)
    assert "prefers-color-scheme: dark" not in dark + light
    assert ("(min-width: 0px)" in dark, "(max-width: 0px)" in light) == (True, True)


def test_the_preview_can_do_nothing(autumn: FlaskClient) -> None:
    """T5."""
    answer = autumn.get("/admin/campaigns/autumn/preview")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.endswith("; sandbox")
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["Cache-Control"] == "no-store"
    without = autumn.get("/admin/campaigns/autumn/preview?images=0").headers
    assert "img-src 'none'" in without["Content-Security-Policy"]
    assert 'sandbox=""' in autumn.get("/admin/campaigns/autumn").text


def test_the_links_of_a_preview_act_for_nobody(
    autumn: FlaskClient, client: FlaskClient, cast: Cast
) -> None:
    page = preview(autumn, f"person={cast.ada.public_id}")
    links = re.findall(r"https://news\.example\.com(/[up]/[\w-]+)", page)
    assert links
    for link in links:
        assert client.get(link).status_code == 404
        assert client.post(link, data={"List-Unsubscribe": "One-Click"}).status_code == 404


# --- Trying it ----------------------------------------------------------------------------------------------------


def test_a_test_mail_goes_to_whoever_asks_for_it(
    desk: Desk, autumn: FlaskClient, smtpd: RecordingSmtpServer, context: Context
) -> None:
    answer = post(desk("sender"), "/admin/campaigns/autumn/test", {})
    assert "took the test mail" in answer.text
    assert smtpd.recipients == ["sender@staff.example.com"]
    with context.db.reading() as session:
        newest = audit.newest(session)[0]
    assert newest.action == "campaign_tested"
    assert "sender@staff" not in str(newest.details)


def test_a_test_mail_to_somebody_who_must_not_be_mailed_is_refused(
    desk: Desk, autumn: FlaskClient, smtpd: RecordingSmtpServer
) -> None:
    for to in ("dan@example.org", "not an address"):
        assert post(desk("sender"), "/admin/campaigns/autumn/test", {"to": to}).status_code == 409
    assert smtpd.recipients == []


@pytest.fixture
def _looks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = checks.start

    def start(*arguments: Any) -> Any:
        thread = begun(*arguments)
        thread.join()
        return thread

    monkeypatch.setattr(checks, "start", start)


@pytest.mark.usefixtures("_looks_end")
def test_checks_tell_what_is_wrong_until_it_is_mended(autumn: FlaskClient) -> None:
    assert "Nobody has looked yet" in autumn.get("/admin/campaigns/autumn/checks").text
    save(autumn, revision="2", body="Dear {{ subscriber.attributes.nickname }}")
    post(autumn, "/admin/campaigns/autumn/checks")
    page = autumn.get("/admin/campaigns/autumn/checks").text
    assert "This can’t go yet" in page
    assert "subscriber.attributes.nickname" in page
    assert "a••@" in page or "•" in page
    save(autumn, revision="3")
    assert "changed since the last look" in autumn.get("/admin/campaigns/autumn/checks").text
    post(autumn, "/admin/campaigns/autumn/checks")
    assert "Nothing keeps this from going" in autumn.get("/admin/campaigns/autumn/checks").text


def test_a_campaign_of_files_alone_can_be_looked_at_and_written(
    author: FlaskClient, context: Context
) -> None:
    page = author.get("/admin/campaigns/spring-release").text
    assert "Only in files so far" in page
    told = save(author, "spring-release", revision="0", template="newsletter", body="Hello").json
    assert told["revision"] == 1


def test_files_are_written_compared_and_taken(autumn: FlaskClient, context: Context) -> None:
    assert "the same in both" in post(autumn, "/admin/campaigns/autumn/pull").text
    body = context.settings.campaigns_dir / "autumn" / "body.md"
    body.write_text("From <b>the</b> file\n")
    page = autumn.get("/admin/campaigns/files").text
    assert "+From &lt;b&gt;the&lt;/b&gt; file" in page
    assert "Done" in post(autumn, "/admin/campaigns/files", {"slug": "autumn"}).text
    with context.db.reading() as session:
        assert campaigns.texts(session, context, "autumn").body == "From <b>the</b> file\n"


# --- What somebody hostile writes -----------------------------------------------------------------------------------


def test_what_is_written_never_becomes_markup_of_the_desk(
    autumn: FlaskClient, context: Context
) -> None:
    """S3."""
    hostile = " ".join(PAYLOADS)
    fields = ("name", "subject", "preheader", "sender", "reply_to", "template", "body", "text")
    save(autumn, revision="2", **dict.fromkeys(fields, hostile))
    with context.db.writing() as session:
        make_person(session, context, "eve@example.org", hostile)
    post(autumn, "/admin/snippets", {"name": PAYLOADS[0], "body": hostile})
    pages = ["/autumn", "/calendar", "/new?copy=autumn", "/files", "/autumn/checks"]
    pages += ["", "/autumn/readers?reader=eve@example.org"]
    for path in (*(f"campaigns{page}" for page in pages), "snippets"):
        page = autumn.get(f"/admin/{path}").text
        for raw in ("<script>alert", "<img src=x", "<svg/onload", '="javascript:', " 49{%"):
            assert raw not in page, path
    assert "&lt;script&gt;alert" in autumn.get("/admin/campaigns").text


def picture(**more: Any) -> io.BytesIO:
    target = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(target, "PNG", **more)
    target.seek(0)
    return target


def upload(client: FlaskClient, *files: tuple[io.BytesIO, str]) -> Any:
    token = csrf_token(client)
    return client.post("/admin/media", data={"csrf_token": token, "file": list(files)})


def test_a_picture_is_put_in_described_hidden_and_brought_back(
    author: FlaskClient, client: FlaskClient
) -> None:
    assert upload(author, (picture(), "red.png")).status_code == 303
    page = author.get("/admin/media").text
    found = re.search(r'src="(/m/([a-z2-7]{26}\.png))"', page)
    assert found
    assert client.get(found[1]).status_code == 200
    post(author, f"/admin/media/{found[2]}", {"alt": '"><script>alert(1)</script>'})
    assert "<script>alert" not in author.get("/admin/media").text
    post(author, f"/admin/media/{found[2]}", {"act": "hide"})
    assert found[2] not in author.get("/admin/media").text
    post(author, f"/admin/media/{found[2]}", {"act": "show"})
    assert found[2] in author.get("/admin/media").text
    assert client.get(found[1]).status_code == 200


def test_a_file_that_is_no_picture_is_told_by_name_and_the_others_are_kept(
    author: FlaskClient,
) -> None:
    svg = io.BytesIO(b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')
    answer = upload(author, (svg, "<i>bad.svg"), (picture(), "good.png"))
    assert answer.status_code == 400
    assert "&lt;i&gt;bad.svg" in answer.text
    assert "good" in answer.text
    assert upload(author).status_code == 400


def test_a_large_picture_finds_room_and_a_large_form_does_not(
    author: FlaskClient, autumn: FlaskClient
) -> None:
    # Written out by hand, because the client of the tests would leave a file of its own open.
    head = "Content-Disposition: form-data; name="
    parts = [
        f'{head}"csrf_token"\r\n\r\n{csrf_token(author)}',
        f'{head}"file"; filename="x.png"\r\n\r\n{"x" * (5 * 1024 * 1024)}',
    ]
    body = "".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n"
    sent = {"data": body.encode(), "content_type": "multipart/form-data; boundary=x"}
    assert author.post("/admin/media", **sent).status_code == 400
    assert save(autumn, revision="2", body="x" * (5 * 1024 * 1024)).status_code == 413


def test_templates_show_what_they_make_of_plain_words(author: FlaskClient) -> None:
    page = author.get("/admin/templates").text
    assert "/admin/templates/letter/preview" in page
    shown = author.get("/admin/templates/letter/preview")
    assert "A heading in the middle" in shown.text
    assert shown.headers["Content-Security-Policy"].endswith("; sandbox")


def test_looking_changes_nothing(autumn: FlaskClient, state: Callable[[], str]) -> None:
    before = state()
    for path in (
        "",
        "/calendar",
        "/new",
        "/files",
        "/autumn",
        "/autumn/preview",
        "/autumn/checks",
        "/autumn/words",
    ):
        autumn.get(f"/admin/campaigns{path}")
    for path in ("media", "templates", "snippets"):
        autumn.get(f"/admin/{path}")
    assert state() == before
