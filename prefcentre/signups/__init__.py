"""How somebody becomes a subscriber by their own act: signing up, and confirming by the button behind a mailed link.

Owns confirmations and the counts that keep mails from being a weapon. Never grants what nobody has confirmed.
"""
