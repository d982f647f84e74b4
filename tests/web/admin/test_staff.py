"""Accounts of colleagues at the desk."""

import re

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.context import Context
from prefcentre.servicemail import service as servicemail
from prefcentre.staff import service as staff
from prefcentre.staff.service import Role, Standing
from prefcentre.testing import FrozenClock
from tests.web.admin.conftest import Desk, make_staff, post


def account(context: Context, email: str) -> staff.StaffUser:
    with context.db.reading() as session:
        found = staff.by_email(session, email)
    assert found
    return found


def path_of(context: Context, role: str, act: str) -> str:
    return f"/admin/staff/{account(context, make_staff(context, role)).public_id}/{act}"


def test_an_invited_colleague_gets_a_mail_with_the_link_that_is_shown(
    desk: Desk, context: Context
) -> None:
    answer = post(desk("admin"), "/admin/staff", {"email": "zoe@x.example", "role": "author"})
    shown = re.search(r'readonly value="([^"]+)"', answer.text)
    assert shown
    assert staff.standing_of(account(context, "zoe@x.example")) is Standing.INVITED
    with context.db.writing() as session:
        [mail] = servicemail.take(session, context)
        said = servicemail.compose(context, mail).data.decode()
    assert mail.parts["link"] == shown[1]
    assert "You are invited to the desk" in said


def test_a_bad_address_is_said_and_kept(desk: Desk) -> None:
    answer = post(desk("admin"), "/admin/staff", {"email": "zoe at x", "role": "author"})
    assert answer.status_code == 400
    assert 'value="zoe at x"' in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_an_address_has_one_account(desk: Desk) -> None:
    data = {"email": "admin@staff.example.com", "role": "viewer"}
    answer = post(desk("admin"), "/admin/staff", data)
    assert answer.status_code == 400
    assert "has an account already" in answer.text


def test_a_role_counts_at_once_and_is_written_down(desk: Desk, context: Context) -> None:
    author, admin = desk("author"), desk("admin")
    assert author.get("/admin/staff").status_code == 403
    post(admin, path_of(context, "author", "role"), {"role": "admin"})
    # T10: what was in somebody's hand before is worth nothing with more power.
    assert author.get("/admin/me").status_code == 303
    assert desk("author").get("/admin/staff").status_code == 200
    with context.db.reading() as session:
        acts = [act for act in audit.newest(session) if act.action != "staff_signed_in"]
    newest = acts[0]
    assert newest.action is AuditAction.STAFF_ROLE_CHANGED
    assert newest.actor == f"staff:{account(context, 'admin@staff.example.com').public_id}"
    assert newest.details["before"] == "author"


def test_the_last_admin_stays(desk: Desk, context: Context) -> None:
    client = desk("admin")
    for act, data in (("role", {"role": "viewer"}), ("disable", {})):
        answer = post(client, path_of(context, "admin", act), data)
        assert answer.status_code == 409
        assert "the last admin" in answer.text
    assert account(context, "admin@staff.example.com").role is Role.ADMIN


def test_a_closed_account_is_out_at_once_and_can_not_come_back(
    desk: Desk, context: Context
) -> None:
    author, admin = desk("author"), desk("admin")
    assert post(admin, path_of(context, "author", "disable")).status_code == 303
    assert author.get("/admin/me").status_code == 303
    assert staff.standing_of(account(context, "author@staff.example.com")) is Standing.DISABLED


def test_somebody_is_signed_out_everywhere(desk: Desk, context: Context) -> None:
    author, admin = desk("author"), desk("admin")
    post(admin, path_of(context, "author", "sessions/end"))
    assert author.get("/admin/me").status_code == 303


def test_changes_ask_who_one_is_after_a_while(
    desk: Desk, context: Context, clock: FrozenClock
) -> None:
    """T33."""
    client = desk("admin")
    path = path_of(context, "author", "role")
    clock.advance(minutes=20)
    answer = post(client, path, {"role": "admin"})
    assert answer.status_code == 403
    assert "Is it you?" in answer.text
    assert account(context, "author@staff.example.com").role is Role.AUTHOR


def test_one_changes_ones_own_name_and_zone(desk: Desk) -> None:
    client = desk("viewer")
    assert post(client, "/admin/me", {"name": "Vera", "zone": "Europe/Sofia"}).status_code == 303
    page = client.get("/admin/me").text
    assert 'value="Vera"' in page
    assert "EET" in page
    assert post(client, "/admin/me", {"name": "", "zone": "UTC"}).status_code == 400
    assert post(client, "/admin/me", {"name": "Vera", "zone": "Nowhere"}).status_code == 400


def test_names_are_words_and_no_markup(desk: Desk) -> None:
    client = desk("admin")
    post(client, "/admin/me", {"name": "<script>alert(1)</script>", "zone": "UTC"})
    for path in ("/admin/me", "/admin/staff"):
        assert "<script>alert(1)" not in client.get(path).text


def test_who_loses_their_second_factors_is_signed_out_everywhere(
    desk: Desk, context: Context
) -> None:
    """T9: whoever took the telephone may hold a session, too."""
    author, admin = desk("author"), desk("admin")
    answer = post(admin, path_of(context, "author", "link"), {"forget_factors": "yes"})
    assert answer.status_code == 200
    assert author.get("/admin/me").status_code == 303
