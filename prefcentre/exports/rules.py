"""What a list for another channel says of each person, and how long it may be used."""

from datetime import datetime, timedelta

from prefcentre.consent.models import Channel

VALID_FOR = timedelta(hours=24)
"""An objection has to bind quickly, and a printer or a call centre needs a date (D41, R104)."""

HOURS = "08:00-21:00"
"""When calls and text messages are welcome, by the clock of the person (R109)."""

CHANNELS = (Channel.PHONE, Channel.SMS, Channel.POST)
"""The channels that a list can be written for; mails go out through the gate alone."""

_WHERE: dict[Channel, tuple[str, ...]] = {
    Channel.PHONE: ("phone",),
    Channel.SMS: ("phone",),
    Channel.POST: ("postal_address",),
}
_PERSON = ("name", "first_name", "last_name", "language", "timezone")
_STAMP = (
    *("topic", "channel", "basis", "since", "confirmed"),
    *("hours", "exported_at", "valid_until"),
)
# A form says what anybody may have written into it, and nobody has pressed a button behind a mailed link for it.
_UNCONFIRMED = "sign_up"


def columns(channel: Channel) -> tuple[str, ...]:
    """What the list holds of a person: what the channel needs and no more."""
    return (*_WHERE[channel], *_PERSON)


def header(channel: Channel) -> tuple[str, ...]:
    """The first line of the file; each line is stamped, because lists are cut, sorted and put together."""
    return (*columns(channel), *_STAMP)


def hours(channel: Channel) -> str:
    """When this channel may be used, empty where it does not matter."""
    return "" if channel is Channel.POST else HOURS


def is_confirmed(method: str | None) -> bool:
    """Whether more than a form says that this person agreed; ``method`` is that of the consent's event."""
    return method != _UNCONFIRMED


def is_stale(valid_until: datetime, now: datetime) -> bool:
    """Whether a list may not be used any more."""
    return now >= valid_until


def safe_cell(text: str) -> str:
    """A cell that a spreadsheet will not run as a formula (T26); phone numbers keep their plus sign."""
    risky = text[:1] in {"=", "-", "@", "\t", "\r"} or (text[:1] == "+" and not text[1:].isdigit())
    return f"'{text}" if risky else text
