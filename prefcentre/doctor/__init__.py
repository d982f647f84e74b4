"""What an installation needs from its surroundings, looked at and said in words.

Owns no data but the date on which a sender's domain was seen to be in order; never sends a mail.
"""
