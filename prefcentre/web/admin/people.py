"""People: the list with its filters, one person's page, and what may be done for them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, time

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.campaigns import service as campaigns
from prefcentre.consent import service as consent
from prefcentre.consent.service import Channel, ConsentState
from prefcentre.context import Context
from prefcentre.delivery import service as delivery
from prefcentre.delivery.service import Why
from prefcentre.errors import InvalidInput, NotFound, PrefcentreError, Refused
from prefcentre.people import service as people
from prefcentre.people.service import Desk, Found, Grant, Order, People, Search
from prefcentre.rights import service as rights
from prefcentre.subscribers import service as subscribers
from prefcentre.subscribers.rules import shown
from prefcentre.subscribers.service import PROFILE, Subscriber
from prefcentre.suppression import service as suppression
from prefcentre.web.admin import actors
from prefcentre.web.admin.downloads import as_download
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.nonsense import whole

HANDLE = Right.EXPORT
"""Whoever may take people's data away may also handle it for them: senders, privacy officers, administrators."""

FILTERS = tuple(Search.__dataclass_fields__)
_MOST_CAMPAIGNS = 200
_DONE = {
    "edit": "Saved. The person is found by the new name and number from now on.",
    "withdraw": "Withdrawn. Nothing more about this topic goes to them by this channel.",
    "grant": "Recorded, with its proof and the words.",
    "pause": "Saved. Their break counts from this moment.",
    "restrict": "Restricted. Their data is stored and used for nothing until somebody ends it.",
    "unrestrict": "The restriction has ended.",
    "link": "The link to their own page is on its way to their mailbox.",
    "suppress": "Forbidden. Nothing more goes to them there.",
    "lift": "Lifted. Other entries, if there are any, still stand.",
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/people", people_list, Right.LOOK)
    add(pages, context, "GET", "/people/<int:public_id>", person_page, Right.LOOK)
    base = "/people/<int:public_id>"
    add(pages, context, "POST", f"{base}/edit", person_edit, HANDLE)
    add(pages, context, "POST", f"{base}/withdraw", person_withdraw, HANDLE)
    add(pages, context, "POST", f"{base}/grant", person_grant, HANDLE)
    add(pages, context, "POST", f"{base}/pause", person_pause, HANDLE)
    add(pages, context, "POST", f"{base}/link", person_link, HANDLE)
    add(pages, context, "POST", f"{base}/suppress", person_suppress, HANDLE)
    add(pages, context, "POST", f"{base}/restrict", person_restrict, Right.PRIVACY)
    add(pages, context, "POST", f"{base}/unrestrict", person_unrestrict, Right.PRIVACY)
    add(pages, context, "POST", f"{base}/lift", person_lift, Right.PRIVACY)
    add(pages, context, "POST", f"{base}/export", person_export, Right.EXPORT, fresh=True)


# --- the list -------------------------------------------------------------------------------------------------------


def people_list(context: Context) -> ResponseReturnValue:
    """Everybody, or those whom the filters in the address ask for."""
    wanted = Search(**{name: request.args.get(name, "").strip() for name in FILTERS})
    problem = None
    with context.db.reading() as session:
        topics = consent.topics(session)
        try:
            found = people.search(session, context, wanted)
        except (InvalidInput, NotFound) as error:
            found, problem = People((), 0, is_more=False, after=None), str(error)
    values = {name: getattr(wanted, name) for name in FILTERS if getattr(wanted, name)}
    values.pop("after", None)
    page = render_template(
        "admin/people/list.html",
        wanted=wanted,
        found=found,
        problem=problem,
        topics=topics,
        channels=[channel.value for channel in Channel],
        states=[*(state.value for state in ConsentState), people.NEVER_ASKED],
        orders=[order.value for order in Order],
        filters=values,
        is_plain=not set(values) - {"order"},
        link=link,
    )
    return page, 400 if problem else 200


def link(one: Found | Subscriber) -> str:
    """The address of one person's page."""
    return url_for("admin.person_page", public_id=one.public_id)


# --- one person -----------------------------------------------------------------------------------------------------


def person_page(context: Context, public_id: int) -> ResponseReturnValue:
    """Everything about one person, and the answer to "why would they get that campaign?". Who looked is noted (R149)."""
    with context.db.writing() as session:
        person = subscribers.by_public_id(session, public_id)
        if person is not None:
            audit.note_look(session, context, person.id or 0, viewer().actor)
    return _page(context, public_id, done=_DONE.get(request.args.get("done", "")))


def _page(
    context: Context,
    public_id: int,
    *,
    problem: str | None = None,
    opened: str = "",
    done: str | None = None,
) -> str:
    slug = request.args.get("campaign", "")
    with context.db.reading() as session:
        view = people.view(session, context, public_id)
        topics = consent.topics(session)
        return render_template(
            "admin/people/person.html",
            view=view,
            someone=view.person,
            who=actors.names(session),
            attributes={name: shown(value) for name, value in view.person.attributes.items()},
            problem=problem,
            opened=opened,
            typed=request.form,
            done=done,
            slug=slug,
            answer=_answer(session, context, view.person, slug),
            campaigns=_campaigns(session, context),
            topics=topics,
            wordings={topic.key: consent.wordings(session, topic.id or 0) for topic in topics},
            channels=[channel.value for channel in Channel],
            ways=people.WAYS,
            reasons=suppression.REASONS,
            may_handle=viewer().may(HANDLE),
            may_protect=viewer().may(Right.PRIVACY),
            today=context.clock.now().astimezone(viewer().zone).date(),
        )


def _answer(session: Session, context: Context, person: Subscriber, slug: str) -> Why | str | None:
    if not slug:
        return None
    try:
        return delivery.why(session, context, person, slug)
    except PrefcentreError as error:
        return str(error)


def _campaigns(session: Session, context: Context) -> list[tuple[str, str]]:
    known = [(one.slug, one.name or one.slug) for one in campaigns.list_all(session)]
    slugs = {slug for slug, _ in known}
    files = [
        (slug, f"{slug} (only files so far)") for slug in campaigns.campaign_slugs(context.settings)
    ]
    return [*known[:_MOST_CAMPAIGNS], *(one for one in files if one[0] not in slugs)]


# --- acts -----------------------------------------------------------------------------------------------------------

Act = Callable[[Session, Subscriber, Desk], list[bytes] | None]


def _do(context: Context, public_id: int, name: str, act: Act) -> ResponseReturnValue:
    """Do it, wait for what is at its final dot, and show the person's page again; with the reason when it can't be done."""
    desk = Desk(viewer().actor, request.form.get("note", "").strip())
    try:
        with context.db.writing() as session:
            keys = act(session, people.get(session, public_id), desk)
    except (InvalidInput, Refused) as error:
        return _page(context, public_id, problem=str(error), opened=name), 400
    if keys:
        delivery.wait_for_dots(context, keys)
    return redirect(url_for("admin.person_page", public_id=public_id, done=name), 303)


def person_edit(context: Context, public_id: int) -> ResponseReturnValue:
    """Correct what is kept about them."""
    form = request.form
    fields = {name: form[name] for name in ("phone", *PROFILE) if name in form}
    names, values = form.getlist("attribute"), form.getlist("value")
    attributes = {
        name.strip(): value for name, value in zip(names, values, strict=False) if name.strip()
    }

    def act(session: Session, person: Subscriber, desk: Desk) -> None:
        people.edit(session, context, person, fields, attributes, desk)

    return _do(context, public_id, "edit", act)


def person_withdraw(context: Context, public_id: int) -> ResponseReturnValue:
    """End a consent because they asked for it."""
    topic, _, channel = request.form.get("place", "").rpartition(":")

    def act(session: Session, person: Subscriber, desk: Desk) -> list[bytes]:
        return people.withdraw(session, context, person, topic, channel, desk)

    return _do(context, public_id, "withdraw", act)


def person_grant(context: Context, public_id: int) -> ResponseReturnValue:
    """Record a consent that was given by phone, on paper or in person."""
    form = request.form

    def act(session: Session, person: Subscriber, desk: Desk) -> None:
        given = Grant(
            topic=form.get("topic", ""),
            channel=form.get("channel", ""),
            way=form.get("way", ""),
            evidence=form.get("evidence", ""),
            wording_id=form.get("wording", 0, type=whole),
            at=_day(form.get("given_on", ""), "Write the day on which they gave it."),
        )
        people.grant(session, context, person, given, desk)

    return _do(context, public_id, "grant", act)


def person_pause(context: Context, public_id: int) -> ResponseReturnValue:
    """Pause all their mails until a day, or end the break."""
    text = request.form.get("until", "").strip()

    def act(session: Session, person: Subscriber, desk: Desk) -> list[bytes]:
        until = _day(text, "Write the day until which they want no mails.") if text else None
        return people.pause(session, context, person, until, desk)

    return _do(context, public_id, "pause", act)


def _day(text: str, problem: str) -> datetime:
    """The beginning of a day in the viewer's zone."""
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").date()  # noqa: DTZ007 - the zone comes in the next line
    except ValueError:
        raise InvalidInput(problem) from None
    return datetime.combine(day, time(), viewer().zone).astimezone(UTC)


def person_link(context: Context, public_id: int) -> ResponseReturnValue:
    """Mail them the link to their own page."""

    def act(session: Session, person: Subscriber, desk: Desk) -> None:
        people.mail_link(session, context, person, desk)

    return _do(context, public_id, "link", act)


def person_restrict(context: Context, public_id: int) -> ResponseReturnValue:
    """Only store their data from now on."""

    def act(session: Session, person: Subscriber, desk: Desk) -> list[bytes]:
        return people.restrict(session, context, person, desk)

    return _do(context, public_id, "restrict", act)


def person_unrestrict(context: Context, public_id: int) -> ResponseReturnValue:
    """End that."""

    def act(session: Session, person: Subscriber, desk: Desk) -> None:
        people.unrestrict(session, context, person, desk)

    return _do(context, public_id, "unrestrict", act)


def person_suppress(context: Context, public_id: int) -> ResponseReturnValue:
    """Forbid writing to them."""
    scope, reason = request.form.get("scope", "all"), request.form.get("reason", "manual")

    def act(session: Session, person: Subscriber, desk: Desk) -> list[bytes]:
        return people.suppress(session, context, person, scope, reason, desk)

    return _do(context, public_id, "suppress", act)


def person_lift(context: Context, public_id: int) -> ResponseReturnValue:
    """Lift an entry, where staff may."""
    scope, reason = request.form.get("scope", ""), request.form.get("reason", "")

    def act(session: Session, person: Subscriber, desk: Desk) -> None:
        people.lift(session, context, person, scope, reason, desk)

    return _do(context, public_id, "lift", act)


def person_export(context: Context, public_id: int) -> ResponseReturnValue:
    """Everything about them as a JSON file."""
    with context.db.writing() as session:
        person = people.get(session, public_id)
        data = rights.everything(session, context, person)
        rights.note_export(session, context, person.id or 0, actor=viewer().actor)
    text = json.dumps(data, ensure_ascii=False, indent=2)
    return as_download(text, f"person-{public_id}.json", "application/json")
