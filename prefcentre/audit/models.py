"""What staff did, as it was done."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from prefcentre.db import BigId, enum_type, json_type


class AuditAction(StrEnum):
    """Something that staff did and may have to answer for."""

    RESTRICTED = (
        "restricted"  # Put a person's data aside: stored, and used for nothing (GDPR art. 18).
    )
    UNRESTRICTED = "unrestricted"  # Took that back.
    LOOKED_AT = "looked_at"  # Opened a person's page; noted once an hour.
    EXPORTED = "exported"  # Wrote an audience into a file.
    ANSWERED = "answered"  # Closed a request from the contact form.
    EDITED = "edited"  # Changed what is kept about a person.
    WITHDREW = "withdrew"  # Ended a consent because the person asked for it.
    GRANTED = "granted"  # Recorded a consent that was given on paper or by phone.
    PAUSED = "paused"  # Paused a person's mails, or ended the break.
    LINK_SENT = "link_sent"  # Had a person's own link mailed to them.
    PERSON_EXPORTED = "person_exported"  # Took everything that is kept about a person.
    SUPPRESSED = "suppressed"  # Forbade writing to somebody, or brought in a list of such.
    LIFTED = "lifted"  # Ended an entry that forbids writing.
    SUPPRESSIONS_EXPORTED = "suppressions_exported"  # Took the list of those not to be written to.
    IMPORTED = "imported"  # Brought people in from a file.
    IMPORT_UNDONE = "import_undone"  # Took an import back.
    TOPIC_CHANGED = "topic_changed"  # Made, changed, archived or brought back a topic.
    NOTICE_CHANGED = (
        "notice_changed"  # Made, changed or discarded the draft of a notice of changes.
    )
    NOTICE_PUBLISHED = (
        "notice_published"  # Published a notice of changes; everybody concerned is told.
    )
    CAMPAIGN_SCHEDULED = "campaign_scheduled"  # Gave a campaign its time, or sent it at once.
    CAMPAIGN_UNSCHEDULED = "campaign_unscheduled"  # Took a campaign's time back.
    CAMPAIGN_PAUSED = "campaign_paused"  # Stopped a campaign for now.
    CAMPAIGN_RESUMED = "campaign_resumed"  # Let a paused or held campaign go on.
    CAMPAIGN_CANCELLED = "campaign_cancelled"  # Ended a campaign before everybody had it.
    CAMPAIGN_MADE = "campaign_made"  # Began a campaign, or copied one.
    CAMPAIGN_WRITTEN = "campaign_written"  # Changed what a campaign says.
    CAMPAIGN_TESTED = "campaign_tested"  # Sent one marked mail of a campaign.
    CAMPAIGN_PULLED = "campaign_pulled"  # Wrote a campaign into its files.
    CAMPAIGN_APPLIED = "campaign_applied"  # Took a campaign's files in place of its text.
    PICTURE_KEPT = "picture_kept"  # Put a picture into the library.
    PICTURE_CHANGED = "picture_changed"  # Described a picture, hid it or brought it back.
    SNIPPET_CHANGED = "snippet_changed"  # Kept or threw away a piece of text.
    UNKNOWN_SETTLED = (
        "unknown_settled"  # Decided about mails of which nobody knows whether they arrived.
    )
    LIMIT_RESUMED = "limit_resumed"  # Let a mail server or domain that stood still be used again.
    PROOF_SENT = "proof_sent"  # Sent themselves a mail that shows how an account signs.
    STAFF_INVITED = "staff_invited"  # Made an account for a colleague.
    STAFF_JOINED = "staff_joined"  # Chose a name and a password by a one-time link.
    STAFF_LINK_MADE = "staff_link_made"  # Made a colleague a new one-time link.
    STAFF_ROLE_CHANGED = "staff_role_changed"  # Changed what a colleague may do.
    STAFF_DISABLED = "staff_disabled"  # Closed a colleague's account.
    STAFF_SESSIONS_ENDED = "staff_sessions_ended"  # Signed a colleague out everywhere.
    STAFF_PASSWORD_CHANGED = "staff_password_changed"  # Chose a new password.  # noqa: S105 - a name, no password.
    STAFF_FACTOR_CHANGED = "staff_factor_changed"  # Added or took away a way to prove who one is.
    STAFF_SIGNED_IN = "staff_signed_in"  # Came into the desk.
    DESK_USED = "desk_used"  # Sent a form of the desk about which nothing more exact is noted.
    ERASED = "erased"  # Erased a person; nothing but a keyed hash is left.
    REQUEST_OPENED = (
        "request_opened"  # Wrote down that somebody asks for something about their data.
    )
    REQUEST_CHANGED = "request_changed"  # Extended such a request, or stopped or started its clock.
    REQUEST_CLOSED = "request_closed"  # Ended such a request: done, refused or taken back.
    TRANSFER_ACKNOWLEDGED = (
        "transfer_acknowledged"  # Answered for sending data to a machine outside of the region.
    )
    TRANSFER_REVOKED = "transfer_revoked"  # Took that back.
    SURVEY_CHANGED = "survey_changed"  # Made, changed, opened or closed a survey.
    CAUGHT_UP = "caught_up"  # Brought a restored database up to what has been promised since.


class AuditEvent(SQLModel, table=True):
    """One act of staff. Append-only; the person is a plain number, so that it outlives their erasure."""

    __tablename__ = "audit_event"
    __table_args__ = (sa.Index("ix_audit_event_subscriber_id_id", "subscriber_id", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    at: datetime
    actor: str
    action: AuditAction = Field(sa_type=enum_type(AuditAction))
    subscriber_id: int | None = Field(default=None, sa_type=BigId)
    note: str = ""
    details: dict[str, Any] = Field(default_factory=dict, sa_type=json_type(), nullable=False)
