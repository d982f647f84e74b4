"""prefcentre staff: the accounts of those who use the desk."""

from typing import Annotated, Any

import typer
from sqlmodel import Session

from prefcentre.cli.common import JsonOption, answer, opened, staff
from prefcentre.errors import NotFound
from prefcentre.staff import service as accounts
from prefcentre.staff.service import Role, StaffUser

app = typer.Typer(help="The accounts of those who use the desk.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The colleague's e-mail address.")]


@app.command(name="list")
def list_(*, as_json: JsonOption = False) -> None:
    """List all accounts."""
    with opened() as context, context.db.reading() as session:
        found = [_account(user) for user in accounts.all_users(session)]
    lines = [f"{one['email']}  {one['role']}  {one['state']}" for one in found]
    answer(as_json, {"accounts": found}, "\n".join(lines) or "There is no account yet.")


@app.command()
def invite(
    email: Email,
    *,
    role: Annotated[Role, typer.Option(help="What they may do.")],
    as_json: JsonOption = False,
) -> None:
    """Make an account; prints a one-time link and mails it, too."""
    with opened() as context, context.db.writing() as session:
        user, link = accounts.invite(session, context, email, role, actor=staff())
        data = _account(user) | {"link": link}
    answer(as_json, data, f"The link works once, for 24 hours:\n{link}")


@app.command()
def link(
    email: Email,
    *,
    forget_factors: Annotated[
        bool, typer.Option(help="Take away their second factors, when all of them are lost.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a new one-time link, by which they choose a new password."""
    with opened() as context, context.db.writing() as session:
        user = _by_email(session, email)
        if forget_factors:
            accounts.forget_factors(session, context, user, actor=staff())
        made = accounts.new_link(session, context, user, actor=staff())
    answer(as_json, {"link": made}, f"The link works once, for 24 hours:\n{made}")


@app.command()
def disable(email: Email, *, as_json: JsonOption = False) -> None:
    """Close an account; whoever is signed in with it is signed out at once."""
    with opened() as context, context.db.writing() as session:
        user = _by_email(session, email)
        accounts.disable(session, context, user, actor=staff())
        data = _account(user)
    answer(as_json, data, f"{data['email']} can't sign in any more.")


def _by_email(session: Session, email: str) -> StaffUser:
    found = accounts.by_email(session, email)
    if found is None:
        raise NotFound(f"There is no account of {email}. “prefcentre staff list” shows them.")
    return found


def _account(user: StaffUser) -> dict[str, Any]:
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "state": accounts.standing_of(user).value,
        "created_at": user.created_at,
        "last_signed_in_at": user.last_signed_in_at,
    }
