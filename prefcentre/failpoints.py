"""Places at which a test may kill this process, so that a crash there is tried and not imagined (R2 of the test plan).

Nothing is armed unless ``PREFCENTRE_FAILPOINT`` says so, and nothing but a test should say so. A kill is SIGKILL:
no handler runs, no file is flushed, just like the real thing.
"""

import os
import signal
from enum import StrEnum


class Failpoint(StrEnum):
    """Every place, named for what has just happened or is just about to."""

    SIGNED_IN = "worker.signed_in"  # The worker's row is written.
    RECOVERY_BEGINS = "recovery.begins"  # In the transaction, nothing done.
    RECOVERY_PENDING = (
        "recovery.pending"  # What was claimed is given back, what was at the dot not yet.
    )
    RECOVERY_ENDS = "recovery.ends"  # All done, not committed.
    CLAIM_BEGINS = "claim.begins"
    CLAIMED = "claim.written"  # Not committed.
    CLAIM_COMMITTED = "claim.committed"
    COMPOSED = "send.composed"  # The message is made, nothing is said.
    ENVELOPE_SAID = "send.envelope_said"  # MAIL, RCPT and DATA are written.
    INVITED = "send.invited"  # 354 was read.
    CONTENT_SAID = "send.content_said"  # The content is with the system.
    REFUSED = "send.refused"  # The server refused the recipient, nothing is recorded.
    GATE_BEGINS = "gate.begins"  # In the transaction, nothing written.
    GATE_RESULTS = "gate.results"  # The last results are written, not committed.
    GATE_WRITTEN = "gate.written"  # handing_off is written, not committed.
    GATE_COMMITTED = "gate.committed"  # No dot is sent yet.
    FIRST_DOT = "gate.first_dot"  # One dot of the group is sent.
    DOTS_SENT = "gate.dots_sent"  # All of them are.
    ANSWERED = "send.answered"  # The answer to the dot was read, nothing is recorded.
    CONNECTING = "connection.opening"
    CONNECTED = "connection.open"  # Greeted and authenticated.
    QUITTING = "connection.quitting"
    SIGNING_OUT = "worker.signing_out"  # In the transaction.
    FINISHING = "campaign.finishing"  # In the transaction that ends a campaign.
    FINISHED = "campaign.finished"  # It is committed.
    SCHEDULER_TICK = "scheduler.tick"  # The lease is taken, nothing is begun.
    SCHEDULER_BEGUN = "scheduler.begun"  # A campaign is preparing, its audience not begun.
    AUDIENCE_CHUNK = "audience.chunk"  # A part of the audience is written, not committed.
    AUDIENCE_COMMITTED = "audience.committed"
    IMPORT_CHUNK = "import.chunk"  # A part of an import is written, not committed.
    IMPORT_COMMITTED = "import.committed"
    OPT_OUT_WRITTEN = "opt_out.written"  # An opt-out is written, not committed.
    OPT_OUT_COMMITTED = "opt_out.committed"  # It is committed and not answered.
    MIGRATION_STEP = "migration.step"  # In the transaction of a migration.


_armed: dict[str, int] = {}


def parse(text: str) -> dict[str, int]:
    """Where to die, and at which time of getting there: a place's name, or ``name:3``. Raises ValueError."""
    if not text:
        return {}
    name, _, count = text.partition(":")
    return {Failpoint(name).value: int(count or 1)}


def arm(text: str) -> None:
    """Kill this process when it gets to the place that ``text`` names; see ``parse``."""
    _armed.clear()
    _armed.update(parse(text))


def reach(place: Failpoint) -> None:
    """Say that a place was reached."""
    if _armed and place.value in _armed:
        _armed[place.value] -= 1
        if _armed[place.value] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
