"""Campaigns as they are being written: in the database, in files, and what differs between the two.

Part of the campaigns service; ``service`` offers these functions to other packages. One rule says which text counts: a
campaign's draft in the database where there is one, its files where there is none. Nothing moves between the two but by
``pull_draft`` and ``apply_files``.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from prefcentre.campaigns import drafting, files, queries, rules
from prefcentre.campaigns.drafting import Fields
from prefcentre.campaigns.files import MAX_FILE_BYTES, CampaignSource, Texts
from prefcentre.campaigns.models import BodyFormat, Campaign, CampaignDraft
from prefcentre.context import Context
from prefcentre.errors import ChangedMeanwhile, ContentError, InvalidInput, NotFound, WrongState


class Difference(StrEnum):
    """What becomes of a campaign's files, or of its draft, when one is taken for the other."""

    SAME = "same"  # Nothing differs.
    NEW = "new"  # Only one of the two is there.
    CHANGED = "changed"  # One was changed since they were the same.
    BOTH = "both"  # Both were changed, and taking one loses the other's changes.
    LOCKED = "locked"  # It is not a draft any more, so what it says stays.
    WRONG = "wrong"  # The files can't be read.


@dataclass(frozen=True)
class Change:
    """What taking one for the other changes, as a diff."""

    slug: str
    difference: Difference
    diff: str = ""
    problem: str = ""

    @property
    def done(self) -> bool:
        """Whether this can be, or was, taken."""
        return self.difference in {Difference.NEW, Difference.CHANGED}


def find_draft(session: Session, slug: str) -> CampaignDraft | None:
    """The draft of this campaign, or None while only its files speak for it."""
    return queries.draft(session, slug)


def texts_of(draft: CampaignDraft) -> Texts:
    """What a draft says, in the shape of files."""
    return Texts(draft.toml, draft.body, BodyFormat(draft.body_format), draft.text)


def texts(session: Session, context: Context, slug: str) -> Texts:
    """What a campaign says: its draft where there is one, else its files, else what was kept when it was started.

    Raises NotFound, which lists what there is.
    """
    draft = queries.draft(session, slug)
    if draft is not None:
        return texts_of(draft)
    known = queries.by_slug(session, slug)
    if known is not None and not files.has_files(context.settings, slug):
        kept = queries.content(session, known.id or 0, known.content_version)
        if kept is not None:
            return drafting.texts_from(CampaignSource.from_json(kept.source))
    return files.read_texts(context.settings, slug)


def source(session: Session, context: Context, slug: str) -> CampaignSource:
    """What a campaign says, checked for form. Raises NotFound and ContentError with file, line and field."""
    return files.source_of(context.settings, slug, texts(session, context, slug))


def create(session: Session, context: Context, slug: str, wanted: Texts, by: str) -> CampaignDraft:
    """A new campaign with this text. Raises InvalidInput when the name can't be used, and NotFound for its topic."""
    if not rules.is_slug(slug):
        raise InvalidInput(
            f"“{slug}” can't name a campaign: use small letters, digits and hyphens, at most 64."
        )
    if queries.by_slug(session, slug) is not None or files.has_files(context.settings, slug):
        raise InvalidInput(f"There is a campaign “{slug}” already; choose another short name.")
    _check_size(wanted)
    return _begin(session, context, slug, wanted, by, synced=None)


def free_slug(session: Session, context: Context, name: str) -> str:
    """A slug for a new campaign of this name that no campaign has."""
    stem = rules.slug_from(name) or f"campaign-{context.clock.now():%Y-%m-%d}"
    taken = {*queries.slugs(session), *files.campaign_slugs(context.settings)}
    tries = (
        stem if number == 1 else f"{stem[:58]}-{number}" for number in range(1, len(taken) + 2)
    )
    return next(slug for slug in tries if slug not in taken)


def save(
    session: Session, context: Context, slug: str, wanted: Texts, revision: int, by: str
) -> CampaignDraft:
    """Write a draft, which need not make a mail yet; nothing happens when it says the same already.

    ``revision`` is the one that was changed: 0 for a campaign that only files spoke for. Raises ChangedMeanwhile when
    it is not the newest, WrongState when the campaign is no draft any more, InvalidInput when a text is too long.
    """
    _check_size(wanted)
    present = queries.draft(session, slug)
    if present is None:
        if revision:
            raise ChangedMeanwhile(
                "This campaign was taken back to its files. Copy your text and load the page anew."
            )
        _refuse_locked(queries.by_slug(session, slug))
        before = texts(session, context, slug)
        return _begin(session, context, slug, wanted, by, synced=before.fingerprint)
    campaign = queries.by_id(session, present.campaign_id)
    _refuse_locked(campaign)
    if texts_of(present) == wanted:
        return present
    if not queries.write_draft(
        session, present.campaign_id, revision, _columns(context, wanted, by)
    ):
        who = present.updated_by or "Somebody"
        raise ChangedMeanwhile(
            f"{who} has saved this campaign since you opened it. Your text is still here: copy it, load the page anew "
            "and put your changes in again."
        )
    if campaign is not None:
        _follow(session, campaign, wanted)
    fresh = queries.draft(session, slug)
    return fresh or present


def pull_draft(
    session: Session, context: Context, slug: str, *, force: bool = False, dry_run: bool = False
) -> Change:
    """Write a campaign's text from the database into the operator's folder; with ``dry_run`` only tell what would change.

    Files that were changed since they were the same stay unless ``force`` says otherwise. Raises NotFound.
    """
    wanted, draft = texts(session, context, slug), queries.draft(session, slug)
    present = _own_texts(context, slug)
    change = _compare(slug, present, wanted, draft.synced if draft else None)
    if (change.done or (force and change.difference is Difference.BOTH)) and not dry_run:
        files.write_texts(context.settings, slug, wanted)
        change = replace(change, difference=Difference.CHANGED if present else Difference.NEW)
    if not dry_run and change.difference is not Difference.BOTH and draft is not None:
        draft.synced = wanted.fingerprint
        session.add(draft)
    return change


def apply_files(
    session: Session,
    context: Context,
    slugs: Sequence[str] = (),
    *,
    by: str,
    force: bool = False,
    dry_run: bool = False,
) -> list[Change]:
    """Take the files of the operator's folder, all or some, into the database; with ``dry_run`` only tell what would change.

    Each campaign is taken whole or not at all. One whose draft was changed as well stays unless ``force`` says
    otherwise. Raises NotFound when a campaign that was named has no files.
    """
    own = files.own_slugs(context.settings)
    if missing := [slug for slug in slugs if slug not in own]:
        raise NotFound(
            f"There are no files of {', '.join(missing)}. There are: {', '.join(own) or 'none yet'}."
        )
    return [
        _apply(session, context, slug, by, force=force, dry_run=dry_run) for slug in slugs or own
    ]


def differs_from_files(session: Session, context: Context, slug: str) -> bool:
    """Whether the operator's folder has other words for this campaign than the draft that counts."""
    draft = queries.draft(session, slug)
    if draft is None:
        return False
    try:
        present = _own_texts(context, slug)
    except ContentError:
        return True
    return present is not None and present != texts_of(draft)


def _apply(
    session: Session, context: Context, slug: str, by: str, *, force: bool, dry_run: bool
) -> Change:
    try:
        wanted = files.read_texts(context.settings, slug, own=True)
        files.source_of(context.settings, slug, wanted)
        draft, campaign = queries.draft(session, slug), queries.by_slug(session, slug)
        present = texts_of(draft) if draft else _kept(session, context, campaign, wanted)
        change = _compare(slug, present, wanted, draft.synced if draft else None)
        if change.difference is not Difference.SAME and campaign is not None:
            _refuse_locked(campaign)
        take = change.done or (force and change.difference is Difference.BOTH)
        if dry_run or not take:
            _note_same(session, draft, wanted, change, dry_run=dry_run)
            return change
        if draft is None:
            _begin(session, context, slug, wanted, by, synced=wanted.fingerprint)
        else:
            save(session, context, slug, wanted, draft.revision, by).synced = wanted.fingerprint
        return replace(change, difference=Difference.CHANGED if draft else Difference.NEW)
    except WrongState as error:
        return Change(slug, Difference.LOCKED, problem=str(error))
    except (ContentError, NotFound) as error:
        return Change(slug, Difference.WRONG, problem=str(error))


def _kept(
    session: Session, context: Context, campaign: Campaign | None, wanted: Texts
) -> Texts | None:
    """The same texts, when they say what was kept at the campaign's start."""
    if campaign is None:
        return None
    kept = queries.content(session, campaign.id or 0, campaign.content_version)
    said = files.source_of(context.settings, campaign.slug, wanted).to_json()
    return (
        wanted
        if kept is not None and CampaignSource.from_json(kept.source).to_json() == said
        else None
    )


def _note_same(
    session: Session, draft: CampaignDraft | None, wanted: Texts, change: Change, *, dry_run: bool
) -> None:
    if draft is not None and change.difference is Difference.SAME and not dry_run:
        draft.synced = wanted.fingerprint
        session.add(draft)


def _compare(slug: str, present: Texts | None, wanted: Texts, synced: str | None) -> Change:
    """What writing ``wanted`` over ``present`` changes; both were changed when neither is what they were when the same."""
    if present == wanted:
        return Change(slug, Difference.SAME)
    if present is None:
        return Change(slug, Difference.NEW, _diff(slug, None, wanted))
    diff = _diff(slug, present, wanted)
    return Change(slug, _judged(present.fingerprint, synced), diff)


def _judged(present: str, synced: str | None) -> Difference:
    """Whether what is there may be written over: it may, when it is what both were when they were the same."""
    return Difference.CHANGED if synced == present else Difference.BOTH


def _diff(slug: str, present: Texts | None, wanted: Texts) -> str:
    before, after = (present.files if present else {}), wanted.files
    parts: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        label = f"campaigns/{slug}/{name}"
        lines = difflib.unified_diff(
            before.get(name, "").splitlines(), after.get(name, "").splitlines(),
            label if name in before else "/dev/null", label if name in after else "/dev/null", lineterm="",
        )  # fmt: skip
        parts += lines
    return "\n".join(parts)


def _own_texts(context: Context, slug: str) -> Texts | None:
    if slug not in files.own_slugs(context.settings):
        return None
    return files.read_texts(context.settings, slug, own=True)


def _begin(
    session: Session, context: Context, slug: str, wanted: Texts, by: str, synced: str | None
) -> CampaignDraft:
    said = drafting.fields_of(wanted.toml)
    campaign = queries.by_slug(session, slug)
    if campaign is None:
        campaign = Campaign(
            slug=slug,
            topic_id=_topic_id(session, said),
            content_version=0,
            created_at=context.clock.now(),
        )
    campaign.name = said.name or slug
    session.add(campaign)
    session.flush()
    draft = CampaignDraft(
        campaign_id=campaign.id or 0, revision=1, synced=synced, **_columns(context, wanted, by)
    )
    session.add(draft)
    session.flush()
    return draft


def _follow(session: Session, campaign: Campaign, wanted: Texts) -> None:
    """Lists and the audience go by the campaign's own row."""
    said = drafting.fields_of(wanted.toml)
    campaign.name = said.name or campaign.slug
    # A topic that is not there is said by the checks; until then the last one stands.
    campaign.topic_id = queries.topic_keys(session).get(said.topic, campaign.topic_id)
    session.add(campaign)
    session.flush()


def _topic_id(session: Session, said: Fields) -> int:
    keys = queries.topic_keys(session)
    if said.topic not in keys:
        known = ", ".join(keys) or "none yet"
        raise NotFound(f"There is no topic “{said.topic}”. There are: {known}.")
    return keys[said.topic]


def _columns(context: Context, wanted: Texts, by: str) -> dict[str, Any]:
    return {
        "toml": wanted.toml,
        "body": wanted.body,
        "body_format": wanted.body_format,
        "text": wanted.text,
        "updated_at": context.clock.now(),
        "updated_by": by,
    }


def _refuse_locked(campaign: Campaign | None) -> None:
    if campaign is not None and campaign.state not in rules.DRAFT_MAY_CHANGE:
        raise WrongState(rules.locked(campaign.slug, campaign.state))


def _check_size(wanted: Texts) -> None:
    for name, text in wanted.files.items():
        if len(text.encode("utf-8", "surrogatepass")) > MAX_FILE_BYTES:
            raise InvalidInput(
                f"{name} has more than {MAX_FILE_BYTES // 1024} KB, which no mail can hold."
            )
        if "\0" in text:
            raise InvalidInput(f"{name} holds a NUL character, which no mail can hold.")
