"""Who: people and the keys they are found by, one at a time or many at once.

Owns subscriber, subscriber_key and the table of import runs. Never decides who may be written to.
"""
