"""Who gets in, and until when."""

from prefcentre.context import Context
from prefcentre.staff import service as staff
from prefcentre.testing import FrozenClock
from tests.web.admin.conftest import Desk, make_staff, sign_in


def test_who_is_not_signed_in_is_led_to_the_form(desk: Desk) -> None:
    stranger = desk("viewer")
    stranger.delete_cookie("__Host-desk", domain="news.example.com")
    answer = stranger.get("/admin/me?x=1")
    assert answer.status_code == 303
    assert answer.location == "/admin/login?next=%2Fadmin%2Fme%3Fx%3D1"


def test_a_session_that_was_struck_out_counts_for_nothing(desk: Desk, context: Context) -> None:
    """T9: what lies in the browser is still there, and opens nothing any more."""
    client = desk("author")
    with context.db.writing() as session:
        user = staff.by_email(session, "author@staff.example.com")
        assert user
        assert staff.end_other_sessions(session, user.id or 0) == 1
    assert client.get("/admin/me").status_code == 303


def test_a_wrong_password_says_nothing_about_the_account(desk: Desk, context: Context) -> None:
    client = desk("viewer")
    client.delete_cookie("__Host-desk", domain="news.example.com")
    known = sign_in(client, make_staff(context, "viewer"), "not this one, surely")
    unknown = sign_in(client, "nobody@staff.example.com", "not this one, surely")
    assert known.status_code == unknown.status_code == 200
    said = "do not belong together"
    assert said in known.text
    assert said in unknown.text


def test_a_form_without_the_token_is_refused(desk: Desk) -> None:
    """T11."""
    assert desk("viewer").post("/admin/me/sessions/end-others").status_code == 400


def test_a_long_day_ends_the_session(desk: Desk, clock: FrozenClock) -> None:
    client = desk("viewer")
    clock.advance(minutes=61)
    assert client.get("/admin/me").status_code == 303


def test_a_role_sees_the_desk(desk: Desk) -> None:
    answer = desk("viewer").get("/admin/me")
    assert answer.status_code == 200
    assert "viewer@staff.example.com" in answer.text
