"""The demonstration's way into the desk."""

from prefcentre.context import Context
from prefcentre.demo import desk
from prefcentre.staff import service as staff
from prefcentre.staff.service import Welcome


def test_the_link_leads_in_until_it_is_used(context: Context) -> None:
    desk.prepare(context)
    link = desk.way_in(context)
    token = link.rpartition("/")[2]
    with context.db.writing() as session:
        staff.enter_by_link(session, context, token, Welcome("a hash", name="Marta"))
    assert desk.way_in(context) == f"{context.settings.public_url}/admin"
    desk.prepare(context)
    assert desk.way_in(context) == f"{context.settings.public_url}/admin"


def test_starting_again_makes_a_new_link_as_long_as_none_was_used(context: Context) -> None:
    desk.prepare(context)
    first = desk.way_in(context)
    desk.prepare(context)
    assert "/admin/welcome/" in desk.way_in(context) != first
