"""Use cases of campaigns: reading their files, keeping versions, moving them from state to state."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from prefcentre import db
from prefcentre.campaigns import queries, rules
from prefcentre.campaigns.drafting import (
    ENTRIES,
    Fields,
    fields_of,
    new_file,
    with_fields,
    without_schedule,
)
from prefcentre.campaigns.drafts import (
    Change,
    Difference,
    apply_files,
    create,
    differs_from_files,
    find_draft,
    free_slug,
    pull_draft,
    save,
    source,
    texts,
    texts_of,
)
from prefcentre.campaigns.files import (
    CampaignSource,
    Frame,
    Texts,
    campaign_slugs,
    canonical,
    defaults_dir,
    frame_names,
    read_frame,
    read_source,
    source_of,
)
from prefcentre.campaigns.models import (
    BodyFormat,
    Campaign,
    CampaignContent,
    CampaignDraft,
    CampaignState,
    SenderDomain,
    Snippet,
)
from prefcentre.campaigns.queries import ORDERS, Listed, Wanted
from prefcentre.campaigns.rules import CampaignEvent, is_overdue, read_local_time, read_time
from prefcentre.campaigns.snippets import all_snippets, drop_snippet, keep_snippet
from prefcentre.context import Context
from prefcentre.errors import NotFound, WrongState
from prefcentre.throttles import service as throttles
from prefcentre.throttles.service import Limit

__all__ = [
    "ENTRIES",
    "ORDERS",
    "BodyFormat",
    "Campaign",
    "CampaignContent",
    "CampaignDraft",
    "CampaignEvent",
    "CampaignSource",
    "CampaignState",
    "Change",
    "Difference",
    "Fields",
    "Frame",
    "Listed",
    "Snippet",
    "Texts",
    "Wanted",
    "all_snippets",
    "apply_files",
    "campaign_slugs",
    "create",
    "defaults_dir",
    "differs_from_files",
    "drop_snippet",
    "fields_of",
    "find_draft",
    "frame_names",
    "free_slug",
    "is_overdue",
    "keep_snippet",
    "new_file",
    "pull_draft",
    "read_frame",
    "read_local_time",
    "read_source",
    "read_time",
    "save",
    "source",
    "source_of",
    "texts",
    "texts_of",
    "with_fields",
    "without_schedule",
]


def get(session: Session, slug: str) -> Campaign:
    """The campaign of this name. Raises NotFound, which says how to make one."""
    found = queries.by_slug(session, slug)
    if found is None:
        raise NotFound(
            f"Campaign “{slug}” is not known yet. Run “prefcentre campaigns check {slug}” or start it."
        )
    return found


def find(session: Session, slug: str) -> Campaign | None:
    """The campaign of this name, or None when it was never saved."""
    return queries.by_slug(session, slug)


def by_id(session: Session, campaign_id: int) -> Campaign | None:
    """The campaign of this number as it is in the database now, or None."""
    return queries.by_id(session, campaign_id)


def list_all(session: Session) -> list[Campaign]:
    """Every campaign, newest first."""
    return queries.all_campaigns(session)


def listed(
    session: Session,
    wanted: Wanted,
    order: str = "created",
    *,
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> list[Listed]:
    """One page of the campaigns that are wanted, with the names of their topics; an order that is not known is the newest first."""
    order = order if order in ORDERS else "created"
    return queries.listed(session, wanted, order, descending=descending, limit=limit, offset=offset)


def counts(session: Session, wanted: Wanted) -> dict[CampaignState, int]:
    """How many of the campaigns that are wanted are in each state."""
    return queries.counts(session, wanted)


def between(session: Session, since: datetime, until: datetime) -> list[Listed]:
    """Campaigns that began, or are to begin, in this span, earliest first."""
    return queries.between(session, since, until)


def find_few(session: Session, text: str, limit: int = 5) -> list[Campaign]:
    """Some campaigns with this in their names, newest first."""
    rows = queries.listed(
        session, Wanted(text=text), "created", descending=True, limit=limit, offset=0
    )
    return [row.campaign for row in rows]


def locked_reason(campaign: Campaign | None) -> str:
    """Why what a campaign says can't be written now, in words; empty when it can."""
    if campaign is None or campaign.state in rules.DRAFT_MAY_CHANGE:
        return ""
    return rules.locked(campaign.slug, campaign.state)


def due(session: Session, now: datetime) -> list[Campaign]:
    """Scheduled campaigns whose time has come, earliest first; whether one is too late is ``is_overdue``'s word."""
    return queries.due(session, now)


def in_states(session: Session, states: Collection[CampaignState]) -> list[Campaign]:
    """Campaigns in one of these states, oldest first."""
    return queries.in_states(session, states)


def sent_now(session: Session) -> dict[int, list[str]]:
    """The campaigns that are being prepared or sent, by the number of their topic."""
    found: dict[int, list[str]] = {}
    for campaign in in_states(session, (CampaignState.PREPARING, CampaignState.SENDING)):
        found.setdefault(campaign.topic_id, []).append(campaign.slug)
    return found


def content(session: Session, campaign_id: int, version: int) -> CampaignContent:
    """One version of what a campaign says. Raises NotFound."""
    found = queries.content(session, campaign_id, version)
    if found is None:
        raise NotFound(f"Campaign {campaign_id} has no content of version {version}.")
    return found


def links(session: Session, campaign_id: int) -> dict[int, str]:
    """Where the numbered links of a campaign lead."""
    return queries.links(session, campaign_id)


def link(session: Session, campaign_id: int, number: int) -> str | None:
    """Where one numbered link leads, or None when there is no such link: never anywhere else (R160)."""
    return queries.link(session, campaign_id, number)


def save_content(
    session: Session,
    context: Context,
    source: CampaignSource,
    compiled_json: Mapping[str, Any],
    links: Sequence[str],
) -> Campaign:
    """Keep what a campaign says: a new version when anything differs, the one there is when nothing does.

    Raises WrongState when the campaign has begun to send and the content differs, and NotFound when its topic is
    unknown.
    """
    sha256 = hashlib.sha256(canonical(source.to_json()) + canonical(compiled_json)).hexdigest()
    campaign = queries.by_slug(session, source.slug)
    if campaign is None:
        campaign = _create(session, context, source)
    else:
        present = queries.content(session, _id(campaign), campaign.content_version)
        if present is not None and present.sha256 == sha256:
            return campaign
        _take_new_version(session, campaign, source)
    session.add(
        CampaignContent(
            campaign_id=_id(campaign),
            version=campaign.content_version,
            sha256=sha256,
            source=source.to_json(),
            compiled=dict(compiled_json),
            created_at=context.clock.now(),
        )
    )
    queries.replace_links(session, _id(campaign), links)
    session.flush()
    return campaign


def set_state(
    session: Session,
    campaign_id: int,
    expected: Collection[CampaignState],
    new: CampaignState,
    **columns: Any,
) -> bool:
    """Compare and set: whether the campaign was in one of the expected states and is now in the new one."""
    return queries.set_state(session, campaign_id, expected, new, columns)


def limit_of(campaign: Campaign) -> Limit | None:
    """The pace and the hours that the campaign's own file asks for, for the table of limits; None when it asks for none."""
    return throttles.limit_from(campaign.limits) if campaign.limits else None


def lock_name(campaign_id: int) -> str:
    """The name that a gate locks shared and whoever stops a campaign locks for themselves."""
    return f"campaign:{campaign_id}"


def schedule(
    session: Session, context: Context, slug: str, start_at: datetime, timezone: str | None = None
) -> Campaign:
    """Give a campaign its time; a time that is past means as soon as possible. Raises NotFound and WrongState."""
    if get(session, slug).audience is not None:
        # Its audience is written and part of it may have been sent; only "resume" goes on from there.
        raise WrongState(
            f"Campaign “{slug}” has begun to send; run “prefcentre campaigns resume {slug}”."
        )
    at = max(start_at, context.clock.now())
    return _move(
        session, slug, CampaignEvent.SCHEDULE, start_at=at, timezone=timezone, held_reason=None
    )


def unschedule(session: Session, slug: str) -> Campaign:
    """Take the time back. Raises NotFound and WrongState."""
    return _move(session, slug, CampaignEvent.UNSCHEDULE, start_at=None, timezone=None)


def pause(session: Session, slug: str) -> Campaign:
    """Stop a campaign for now: nothing more of it passes the gate. Raises NotFound and WrongState."""
    return _move(session, slug, CampaignEvent.PAUSE)


def resume(session: Session, slug: str) -> Campaign:
    """Let a paused or held campaign go on where it stopped. Raises NotFound and WrongState."""
    campaign = get(session, slug)
    new = rules.resumed(has_audience=campaign.audience is not None)
    return _move(session, slug, CampaignEvent.RESUME, new, held_reason=None)


def cancel(session: Session, context: Context, slug: str) -> Campaign:
    """End a campaign; what has not passed the gate is never sent. Raises NotFound and WrongState."""
    return _move(
        session, slug, CampaignEvent.CANCEL, finished_at=context.clock.now(), held_reason=None
    )


def hold(session: Session, slug: str, reason: str) -> Campaign:
    """Stop a campaign until a person decides, and say why. Raises NotFound and WrongState."""
    return _move(session, slug, CampaignEvent.HOLD, held_reason=reason)


def mark_preparing(session: Session, context: Context, campaign_id: int) -> bool:
    """Its time has come. False when somebody was quicker."""
    return _mark(session, campaign_id, CampaignEvent.PREPARE, started_at=context.clock.now())


def fix_audience_range(session: Session, campaign_id: int, newest_subscriber_id: int) -> None:
    """Say up to which subscriber the audience reaches, so that people who come later can't shift it (L2)."""
    queries.fix_audience_range(session, campaign_id, newest_subscriber_id)


def advance_preparing(
    session: Session, campaign_id: int, after: int, up_to: int, people: int
) -> bool:
    """Take the subscribers in (after, up_to] of an audience; False when another process has taken them."""
    return queries.advance_preparing(session, campaign_id, after, up_to, people)


def mark_sending(session: Session, campaign_id: int, **columns: Any) -> bool:
    """Its audience is complete. False when it is not being prepared any more."""
    return _mark(session, campaign_id, CampaignEvent.SEND, **columns)


def mark_finished(session: Session, context: Context, campaign_id: int) -> bool:
    """Every recipient has an outcome. False when it is not sending any more."""
    return _mark(session, campaign_id, CampaignEvent.FINISH, finished_at=context.clock.now())


def reopen(session: Session, slug: str) -> Campaign:
    """A finished campaign has recipients without an outcome again, and sends. Raises NotFound and WrongState."""
    return _move(session, slug, CampaignEvent.REOPEN, finished_at=None)


def sender_domain(session: Session, domain: str) -> SenderDomain | None:
    """What was found about a domain that stands in From (R45), or None when it was never checked."""
    return queries.sender_domain(session, domain)


def record_domain_check(
    session: Session, context: Context, domain: str, *, verified: bool, findings: dict[str, Any]
) -> SenderDomain:
    """Keep what DNS said about a sender's domain; a failed check takes an earlier proof away (R45)."""
    row = queries.sender_domain(session, domain) or SenderDomain(domain=domain)
    row.verified_at = context.clock.now() if verified else None
    row.findings = findings
    session.add(row)
    session.flush()
    return row


def _move(
    session: Session,
    slug: str,
    event: CampaignEvent,
    new: CampaignState | None = None,
    **columns: Any,
) -> Campaign:
    campaign = get(session, slug)
    # Taken before the row changes, so that no gate that has read "sending" is still on its way to the dot.
    db.lock_name(session, lock_name(_id(campaign)))
    present = by_id(session, _id(campaign)) or campaign
    target = rules.after(present.state, event)
    if target is None or not set_state(
        session, _id(campaign), {present.state}, new or target, **columns
    ):
        raise WrongState(rules.refusal(slug, present.state, event))
    return campaign


def _mark(session: Session, campaign_id: int, event: CampaignEvent, **columns: Any) -> bool:
    (new,) = set(rules.TRANSITIONS[event].values())
    return set_state(session, campaign_id, rules.states_for(event), new, **columns)


def _create(session: Session, context: Context, source: CampaignSource) -> Campaign:
    campaign = Campaign(
        slug=source.slug,
        name=source.name,
        topic_id=_topic_id(session, source),
        limits=source.limits,
        created_at=context.clock.now(),
    )
    session.add(campaign)
    session.flush()
    return campaign


def _take_new_version(session: Session, campaign: Campaign, source: CampaignSource) -> None:
    if campaign.state not in rules.CONTENT_MAY_CHANGE:
        raise WrongState(
            f"Campaign “{campaign.slug}” is {campaign.state.value}; what it says can't change any more. Copy it under a new name."
        )
    campaign.topic_id = _topic_id(session, source)
    campaign.name = source.name
    campaign.limits = source.limits
    campaign.content_version += 1
    session.add(campaign)
    session.flush()


def _topic_id(session: Session, source: CampaignSource) -> int:
    keys = queries.topic_keys(session)
    if source.topic not in keys:
        known = ", ".join(keys) or "none yet; run “prefcentre topics apply FILE”"
        raise NotFound(
            f"{source.toml_file}: there is no topic “{source.topic}”. There are: {known}."
        )
    return keys[source.topic]


def _id(campaign: Campaign) -> int:
    if campaign.id is None:
        raise NotFound(f"Campaign “{campaign.slug}” has not been saved yet.")
    return campaign.id
