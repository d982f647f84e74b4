"""Whom we must not write to, and why, by keyed hash only.

Owns suppression. Entries are only added or lifted, never deleted; never knows a plain address.
"""
