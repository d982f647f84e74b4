"""Where people's data goes: which machines get it, in which country they stand, and what is acknowledged of those outside.

Owns transfer_acknowledgement. A mail server that is named as standing outside the region gets nothing before that.
"""
