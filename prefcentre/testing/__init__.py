"""What tests need, ours and an operator's: a clock that stands still, a mail server that remembers and misbehaves.

It owns no table and never runs in production; ``python -m prefcentre.testing serve`` starts the server.
"""

from prefcentre.testing.behaviour import Act, Fault, Keep, Offer, Received, Stage, Trouble
from prefcentre.testing.clock import FrozenClock
from prefcentre.testing.smtpd import RecordingSmtpServer, recording_smtp_server

__all__ = [
    "Act",
    "Fault",
    "FrozenClock",
    "Keep",
    "Offer",
    "Received",
    "RecordingSmtpServer",
    "Stage",
    "Trouble",
    "recording_smtp_server",
]
