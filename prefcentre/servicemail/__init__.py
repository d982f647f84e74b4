"""Mails that a person asked for or must get: confirmations, links, notices.

Owns the queue of them. Never advertises, never counts, and never mails an address that is dead.
"""
