"""The preference centre: see, change, leave, come back; over subscribers, consent and suppression.

Owns preference and undo_token. Never sends anything.
"""
