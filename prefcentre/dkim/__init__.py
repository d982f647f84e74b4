"""Signing our mail with DKIM (RFC 6376, RFC 8463), for those whose mail server does not.

Owns no table. Never sends a mail, never asks DNS, and does nothing unless keys are set.
"""
