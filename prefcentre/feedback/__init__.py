"""What comes back after a mail left: bounces, complaints, answers; from mailboxes and from providers' webhooks.

Owns feedback_event, inbound_message and the once-only marks of webhooks. Changes nobody without proof that a message
of ours is meant.
"""
