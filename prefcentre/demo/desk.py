"""The demonstration's own account at the desk, and the one-time link that begins it."""

from prefcentre.context import Context
from prefcentre.staff import service as staff
from prefcentre.staff.service import Role, Standing

EMAIL = "marta@example.com"
_FILE = "desk-link"


def prepare(context: Context) -> None:
    """Make the account, and a new link as long as nobody has used one."""
    with context.db.writing() as session:
        user = staff.by_email(session, EMAIL)
        if user is None:
            user = staff.add(session, context, EMAIL, Role.ADMIN, name="Marta")
            user.active = False
        if staff.standing_of(user) is Standing.ACTIVE:
            return
        link = staff.new_link(session, context, user, actor="demo")
    file = context.settings.home / _FILE
    file.touch(mode=0o600)
    file.write_text(link, encoding="utf-8")


def way_in(context: Context) -> str:
    """The one-time link, or the desk's own address once it was used."""
    file = context.settings.home / _FILE
    link = file.read_text(encoding="utf-8") if file.exists() else ""
    with context.db.reading() as session:
        user = staff.by_email(session, EMAIL)
        if link and user and staff.standing_of(user) is Standing.INVITED:
            return link
    return f"{context.settings.public_url}/admin"
