"""At which rates we warn and stop (R53, R194). Pure decisions, and the words for them."""

from dataclasses import dataclass
from enum import StrEnum


class Line(StrEnum):
    """How bad a rate is."""

    FINE = "fine"  # Below the line of warning, or too little to judge.
    WARNING = "warning"  # Somebody should look.
    STOP = "stop"  # Running campaigns are held.


@dataclass(frozen=True, slots=True)
class Limits:
    """The lines, as parts of one, and how much there has to be before a rate means anything."""

    complaint_warning: float = 0.001
    complaint_stop: float = 0.003
    least_complaints: int = 2
    bounce_warning: float = 0.02
    bounce_stop: float = 0.05
    least_mails: int = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """What rates are made of: mails taken, complaints of them, mails tried, dead addresses among them."""

    accepted: int = 0
    complaints: int = 0
    tried: int = 0
    bounces: int = 0

    def since(self, before: "Figures") -> "Figures":
        """What came after another count."""
        return Figures(
            max(0, self.accepted - before.accepted),
            max(0, self.complaints - before.complaints),
            max(0, self.tried - before.tried),
            max(0, self.bounces - before.bounces),
        )


def of_complaints(found: Figures, limits: Limits) -> Line:
    """How bad the complaints are. A few complaints of nearly no mail are as bad as they can be."""
    if found.complaints < limits.least_complaints:
        return Line.FINE
    return _line(found.complaints, found.accepted, limits.complaint_warning, limits.complaint_stop)


def of_bounces(found: Figures, limits: Limits) -> Line:
    """How bad the dead addresses are; more than the line, where complaints stop at it (R194)."""
    if found.tried < limits.least_mails or not found.bounces:
        return Line.FINE
    if found.bounces > limits.bounce_stop * found.tried:
        return Line.STOP
    return Line.WARNING if found.bounces >= limits.bounce_warning * found.tried else Line.FINE


def _line(part: int, whole: int, warning: float, stop: float) -> Line:
    if part >= stop * whole:
        return Line.STOP
    return Line.WARNING if part >= warning * whole else Line.FINE


def why_held(found: Figures, limits: Limits) -> str:
    """Why a campaign with these figures has to stop, in a sentence; empty when it need not."""
    if of_complaints(found, limits) is Line.STOP:
        return (
            f"{complained(found)}; at {percent(limits.complaint_stop)} sending stops. Look at whom it goes to "
            "and what it says before you resume it."
        )
    if of_bounces(found, limits) is Line.STOP:
        return (
            f"{found.bounces:,} of {found.tried:,} addresses do not exist ({percent(found.bounces / found.tried)}); "
            f"above {percent(limits.bounce_stop)} sending stops. Look at where the addresses came from before "
            "you resume it."
        )
    return ""


def complained(found: Figures) -> str:
    """How many complained, in words."""
    share = f" ({percent(found.complaints / found.accepted)})" if found.accepted else ""
    return f"{found.complaints:,} of {found.accepted:,} mails were reported as spam{share}"


def percent(part: float) -> str:
    """A part of one with two places."""
    return f"{part * 100:.2f} %"
