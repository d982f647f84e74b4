"""What carries a message: connections to a mail server on which the final dot can be held back.

Owns no table. Never decides; tells what was said. The only home of aiosmtplib.
"""
