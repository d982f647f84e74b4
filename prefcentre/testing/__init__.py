"""What tests need, ours and an operator's: a clock that stands still, a mail server that remembers, and makers.

It owns no table and never runs in production; ``python -m prefcentre.testing smtpd`` starts the server.
"""

from prefcentre.testing.behaviour import Act, Fault, Offer, Received, Stage
from prefcentre.testing.clock import FrozenClock
from prefcentre.testing.smtpd import RecordingSmtpServer, recording_smtp_server

__all__ = [
    "Act",
    "Fault",
    "FrozenClock",
    "Offer",
    "Received",
    "RecordingSmtpServer",
    "Stage",
    "recording_smtp_server",
]
