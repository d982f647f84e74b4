"""One rendered mail: a campaign compiled once, then filled in as bytes for each recipient.

Owns no table. Never opens a connection and never decides who gets the mail.
"""
