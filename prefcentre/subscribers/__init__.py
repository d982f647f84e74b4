"""Who: people, the keys they are found by, and bringing them in from files.

Owns subscriber, subscriber_key and import_run. Never decides who may be written to.
"""
