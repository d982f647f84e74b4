"""Pictures for mails: taken in, drawn anew and served to whoever opens a mail.

Owns media. Never keeps an octet of a file as it came, and never serves anything that could run.
"""
