"""Reads mails that come back: what they say, about whom, and whether an address is dead.

Pure and total: octets in, a ``Report`` out, whatever the octets are. Proves nothing and changes nobody.
"""
