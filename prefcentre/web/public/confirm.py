"""The page behind a link that was mailed to confirm something: GET asks, POST does it (R88)."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from prefcentre import addresses
from prefcentre.consent import service as consents
from prefcentre.consent.service import Channel
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.errors import NotFound
from prefcentre.preferences import service as preferences
from prefcentre.preferences.service import Method
from prefcentre.signups import service
from prefcentre.signups.service import Asked, ConfirmationKind
from prefcentre.tokens import LinkToken, TokenKind, issued_on
from prefcentre.web.languages import language, speak_to
from prefcentre.web.public import mailing, words
from prefcentre.web.public.requests import path_of, route, visit


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    route(pages, "GET", "/k/<text>", show, context)
    route(pages, "POST", "/k/<text>", act, context)


def show(context: Context, text: str) -> ResponseReturnValue:
    """What is asked, with one button; scanners that follow links confirm nothing."""
    asked = _asked(context, text)
    return _page(context, asked) if asked.is_open else _over(asked)


def act(context: Context, text: str) -> ResponseReturnValue:
    """Do what was asked, once."""
    asked = _asked(context, text)
    if not asked.is_open:
        return _over(asked), 409
    if asked.confirmation.kind is ConfirmationKind.ADDRESS_CHANGE:
        return _move(context, asked)
    with context.db.writing() as session:
        done = service.confirm_sign_up(
            session, context, asked.confirmation, visit(Method.CONFIRMATION)
        )
    if done is None:
        return _over(asked), 409
    now = context.clock.now()
    token = issued_on(LinkToken(TokenKind.PREFERENCES, done.person.public_id), now)
    return _page(context, asked, done=True, preferences_path=path_of(context, token))


def _asked(context: Context, text: str) -> Asked:
    token = context.signer.read(TokenKind.CONFIRM, text)
    with context.db.reading() as session:
        asked = service.question(session, context, token)
    if asked is None or asked.person is None:
        raise NotFound
    speak_to(asked.person)
    return asked


def _move(context: Context, asked: Asked) -> ResponseReturnValue:
    confirmation = asked.confirmation
    with context.db.writing() as session:
        moved = service.use(session, context, confirmation) and preferences.change_address(
            session,
            context,
            confirmation.subscriber_id,
            confirmation.payload["email"],
            visit(Method.CONFIRMATION),
        )
        if moved and moved.changed:
            mailing.tell_old_address(session, context, moved)
    if not moved or not moved.changed:
        return _over(asked), 409
    delivery.wait_for_dots(context, list(moved.keys))
    return _page(context, asked, done=True)


def _over(asked: Asked) -> str:
    return render_template(
        "public/confirm_over.html",
        used=asked.confirmation.used_at is not None,
        moving=asked.confirmation.kind is ConfirmationKind.ADDRESS_CHANGE,
    )


def _page(
    context: Context, asked: Asked, *, done: bool = False, preferences_path: str | None = None
) -> str:
    payload = asked.confirmation.payload
    if asked.confirmation.kind is ConfirmationKind.ADDRESS_CHANGE:
        new = addresses.parse(payload["email"]).masked
        return render_template("public/confirm_address.html", done=done, new=new)
    with context.db.reading() as session:
        names = {
            topic.key: consents.topic_texts(topic, language()).name
            for topic in consents.topics(session)
        }
        texts = consents.wording_texts(session, payload["wordings"].values())
    wanted: dict[str, list[str]] = {}
    by_phone = [one for one in payload["places"] if not service.is_proven(Channel(one[1]))]
    for key, channel in payload["places"]:
        if done and [key, channel] in by_phone:
            continue
        wanted.setdefault(key, []).append(channel)
    return render_template(
        "public/confirm.html",
        done=done,
        preferences_path=preferences_path,
        wanted=[
            (words.place(names.get(key, key), *channels), texts.get(payload["wordings"].get(key)))
            for key, channels in wanted.items()
        ],
        by_phone=bool(by_phone),
        counting=payload["track_opens"] or payload["track_clicks"],
    )
