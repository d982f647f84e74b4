"""Settings of how long data is kept; a file of its own, because it is one line for each kind of data."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Retention(BaseModel):
    """How many days each kind of data is kept; 0 keeps it for ever (R142)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prospects: int = Field(
        1095, ge=0, description="People without an act of their own; opened mails are none (R143)."
    )
    unconfirmed: int = Field(
        14, ge=0, description="People who signed up and never pressed the button (R90)."
    )
    tracking_detail: int = Field(
        30, ge=0, description="Network and program behind an opened mail or followed link (R146)."
    )
    feedback: int = Field(30, ge=0, description="Mails that mail servers sent back, as they came.")
    smtp_texts: int = Field(90, ge=0, description="Words of mail servers about one recipient.")
    left_out: int = Field(365, ge=0, description="Who was left out of a campaign, by number.")
    rejects: int = Field(30, ge=0, description="Files of lines that an import refused.")
    exports: int = Field(7, ge=0, description="Files of lists for calls, messages and letters.")
    import_changes: int = Field(
        90, ge=0, description="What an import changed of people, for taking it back."
    )
    consent_details: int = Field(
        1095, ge=0, description="Network, program and evidence of consents that have ended (R144)."
    )
    phone_consent_details: int = Field(
        1825, ge=0, description="The same for calls and text messages (R106)."
    )
    lifted_suppressions: int = Field(
        1095,
        ge=0,
        description="Entries that forbade writing and were lifted or have run out (R145).",
    )
    contact: int = Field(365, ge=0, description="What people wrote on the contact form.")
    request_content: int = Field(
        30, ge=0, description="Who asked for their data and in which words, once it was answered."
    )
    requests: int = Field(
        1095, ge=0, description="That somebody asked, and how it ended; Bulgaria wants 1825 (R141)."
    )
    audit: int = Field(1095, ge=0, description="What staff did.")
    sessions: int = Field(30, ge=0, description="Browsers that staff were signed in with.")
    journal: Path | None = Field(
        None,
        description="Another folder for the journal of opt-outs, such as on another disk; default: beside the database.",
    )
