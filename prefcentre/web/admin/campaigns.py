"""Campaigns: the list, the calendar, beginning a new one, and files against the database."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlmodel import Session

from prefcentre.audit import service as audit
from prefcentre.audit.service import AuditAction
from prefcentre.campaigns import service as campaigns
from prefcentre.campaigns.service import (
    BodyFormat,
    CampaignState,
    Difference,
    Fields,
    Listed,
    Texts,
    Wanted,
)
from prefcentre.consent import service as consent
from prefcentre.context import Context
from prefcentre.errors import ContentError, InvalidInput, NotFound, PrefcentreError
from prefcentre.web.admin.gates import Right
from prefcentre.web.admin.paths import add
from prefcentre.web.admin.viewer import viewer
from prefcentre.web.nonsense import page_number

PAGE = 50
FORMS = {
    BodyFormat.MARKDOWN: "Markdown: plain words, quickest to write",
    BodyFormat.MJML: "MJML: sections, columns and buttons",
    BodyFormat.HTML: "HTML: finished markup for the template’s slot",
}
_FIRST_WORDS = {
    BodyFormat.MARKDOWN: "Hello {{ subscriber.first_name|default('there') }},\n\nwrite here.\n",
    BodyFormat.MJML: (
        "<mj-section>\n  <mj-column>\n    <mj-text>\n"
        "      <p>Hello {{ subscriber.first_name|default('there') }},</p>\n      <p>write here.</p>\n"
        "    </mj-text>\n  </mj-column>\n</mj-section>\n"
    ),
    BodyFormat.HTML: "<p>Hello {{ subscriber.first_name|default('there') }},</p>\n<p>write here.</p>\n",
}


def declare(pages: Blueprint, context: Context) -> None:
    """Add the addresses of this module."""
    add(pages, context, "GET", "/campaigns", campaign_list, Right.LOOK)
    add(pages, context, "GET", "/campaigns/calendar", campaign_calendar, Right.LOOK)
    add(pages, context, "GET", "/campaigns/new", campaign_new, Right.WRITE)
    add(pages, context, "POST", "/campaigns/new", campaign_make, Right.WRITE)
    add(pages, context, "GET", "/campaigns/files", campaign_files, Right.LOOK)
    add(pages, context, "POST", "/campaigns/files", campaign_apply, Right.WRITE)
    add(pages, context, "POST", "/campaigns/<slug>/pull", campaign_pull, Right.WRITE)


@dataclass(frozen=True)
class Pager:
    """Which part of a list is shown."""

    number: int
    pages: int
    total: int


def campaign_list(context: Context) -> ResponseReturnValue:
    """All campaigns, or those that the filters in the address ask for."""
    order, descending = _order()
    number = page_number(request.args)
    with context.db.reading() as session:
        topics = consent.topics(session)
        wanted = _wanted(topics)
        counts = campaigns.counts(session, replace(wanted, states=()))
        total = sum(campaigns.counts(session, wanted).values())
        rows = campaigns.listed(
            session, wanted, order, descending=descending, limit=PAGE, offset=(number - 1) * PAGE
        )
        known = {row.campaign.slug for row in rows} | {
            slug
            for slug in campaigns.campaign_slugs(context.settings)
            if campaigns.find(session, slug)
        }
    plain = not (wanted.states or wanted.topic_id or wanted.text)
    return render_template(
        "admin/campaign/list.html",
        rows=rows,
        counts=counts,
        states=list(CampaignState),
        topics=topics,
        wanted=wanted,
        sort=f"-{order}" if descending else order,
        page=Pager(number, max(1, -(-total // PAGE)), total),
        only_files=[
            slug for slug in campaigns.campaign_slugs(context.settings) if slug not in known
        ]
        if plain and number == 1
        else [],
        plain=plain,
    )


def campaign_calendar(context: Context) -> ResponseReturnValue:
    """One month of campaigns that began or are to begin, in the viewer's zone."""
    zone, today = viewer().zone, context.clock.now().astimezone(viewer().zone).date()
    first = _month(request.args.get("month", ""), today)
    days = calendar.Calendar().monthdatescalendar(first.year, first.month)
    since, until = _midnight(days[0][0], zone), _midnight(days[-1][-1] + timedelta(days=1), zone)
    with context.db.reading() as session:
        rows = campaigns.between(session, since, until)
    by_day: dict[date, list[tuple[str, Listed]]] = {}
    for row in rows:
        at = (row.campaign.started_at or row.campaign.start_at or since).astimezone(zone)
        by_day.setdefault(at.date(), []).append((f"{at:%H:%M}", row))
    return render_template(
        "admin/campaign/calendar.html",
        first=first,
        weeks=days,
        by_day=by_day,
        today=today,
        before=(first - timedelta(days=1)).strftime("%Y-%m"),
        after=(first + timedelta(days=32)).strftime("%Y-%m"),
        zone=zone,
    )


def campaign_new(context: Context) -> ResponseReturnValue:
    """The form for a new campaign, empty or as a copy of an earlier one."""
    return _new_page(
        context,
        {
            "copy": request.args.get("copy", ""),
            "form": "md",
            "template": request.args.get("template", "newsletter"),
        },
    )


def campaign_make(context: Context) -> ResponseReturnValue:
    """Begin a campaign and lead to its editor."""
    typed = {
        key: request.form.get(key, "")
        for key in ("name", "slug", "topic", "template", "form", "copy")
    }
    try:
        with context.db.writing() as session:
            slug = _made(session, context, typed)
    except PrefcentreError as error:
        return _new_page(context, typed, problem=str(error)), 400
    return redirect(url_for("admin.campaign_content", slug=slug), 303)


def campaign_files(context: Context) -> ResponseReturnValue:
    """What taking the files in campaigns/ would change, as a diff."""
    return _files_page(context)


def campaign_apply(context: Context) -> ResponseReturnValue:
    """Take the files of one campaign into the database."""
    slug, force = request.form.get("slug", ""), request.form.get("force") == "yes"
    with context.db.writing() as session:
        (change,) = campaigns.apply_files(session, context, [slug], by=viewer().name, force=force)
        if change.done:
            _note(session, context, AuditAction.CAMPAIGN_APPLIED, slug)
    return _files_page(context, told=change.slug if change.done else "")


def campaign_pull(context: Context, slug: str) -> ResponseReturnValue:
    """Write a campaign into its files."""
    force = request.form.get("force") == "yes"
    with context.db.writing() as session:
        change = campaigns.pull_draft(session, context, slug, force=force)
        if change.done:
            _note(session, context, AuditAction.CAMPAIGN_PULLED, slug)
    return _files_page(context, told=slug if change.difference is not Difference.BOTH else "")


def _files_page(context: Context, told: str = "") -> str:
    with context.db.reading() as session:
        changes = campaigns.apply_files(session, context, by="", dry_run=True)
    return render_template(
        "admin/campaign/files.html",
        changes=changes,
        told=told,
        folder=context.settings.campaigns_dir.name,
        Difference=Difference,
    )


def _made(session: Session, context: Context, typed: Mapping[str, str]) -> str:
    """Raises InvalidInput and NotFound in words for the form."""
    name = " ".join(typed["name"].split())
    if not name:
        raise InvalidInput("Give the campaign a name, such as “Spring release”.")
    slug = typed["slug"].strip() or campaigns.free_slug(session, context, name)
    campaigns.create(session, context, slug, _texts(session, context, typed, name), viewer().name)
    _note(session, context, AuditAction.CAMPAIGN_MADE, slug)
    return slug


def _texts(session: Session, context: Context, typed: Mapping[str, str], name: str) -> Texts:
    if typed["copy"]:
        texts = campaigns.texts(session, context, typed["copy"])
        fields = replace(campaigns.fields_of(texts.toml), name=name)
        if typed["topic"]:
            fields = replace(fields, topic=typed["topic"])
        return replace(
            texts, toml=campaigns.with_fields(campaigns.without_schedule(texts.toml), fields)
        )
    if not typed["topic"]:
        raise InvalidInput("Choose a topic: it decides who may get the campaign.")
    form = BodyFormat(typed["form"]) if typed["form"] in set(BodyFormat) else BodyFormat.MARKDOWN
    # An unknown template would be found by the checks only.
    campaigns.read_frame(context.settings, typed["template"])
    fields = Fields(
        name, typed["topic"], typed["template"], subject=name, sender=_last_sender(session, context)
    )
    return Texts(campaigns.new_file(fields), _FIRST_WORDS[form], form)


def _last_sender(session: Session, context: Context) -> str:
    """Whom the newest campaign came from; most companies write from one address."""
    for row in campaigns.listed(session, Wanted(), limit=5):
        try:
            sender = campaigns.fields_of(
                campaigns.texts(session, context, row.campaign.slug).toml
            ).sender
        except (ContentError, NotFound):
            continue
        if sender:
            return sender
    brand = context.settings.brand
    return f"{brand.name} <{brand.contact_email}>" if brand.contact_email else ""


def _new_page(context: Context, typed: Mapping[str, str], problem: str = "") -> str:
    with context.db.reading() as session:
        topics = [topic for topic in consent.topics(session) if "email" in topic.channels]
        earlier = campaigns.listed(session, Wanted(), limit=100)
        known = {row.campaign.slug for row in earlier}
    examples = [slug for slug in campaigns.campaign_slugs(context.settings) if slug not in known]
    return render_template(
        "admin/campaign/new.html",
        typed=typed,
        topics=topics,
        frames=campaigns.frame_names(context.settings),
        forms=FORMS,
        earlier=[(row.campaign.slug, row.campaign.name or row.campaign.slug) for row in earlier]
        + [(slug, f"{slug} (from files)") for slug in examples],
        problem=problem,
    )


def _note(session: Session, context: Context, action: AuditAction, slug: str) -> None:
    audit.append(session, context, action, actor=viewer().actor, details={"campaign": slug})


def _wanted(topics: list[Any]) -> Wanted:
    states = tuple(
        CampaignState(state)
        for state in request.args.getlist("state")
        if state in set(CampaignState)
    )
    topic = next((one.id for one in topics if one.key == request.args.get("topic")), None)
    return Wanted(states, topic, request.args.get("q", "").strip()[:100])


def _order() -> tuple[str, bool]:
    wanted = request.args.get("sort", "-created")
    order = wanted.removeprefix("-")
    return (order, wanted.startswith("-")) if order in campaigns.ORDERS else ("created", True)


def _month(text: str, today: date) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return today.replace(day=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
