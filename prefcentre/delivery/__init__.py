"""One row for each campaign and subscriber: audience, claim, gate, hand-over, outcome.

Owns delivery, left_out, worker and lease. ``may_send`` in ``rules`` is the only judge of who gets a mail.
"""
