"""Lists of people for calls, text messages and letters, judged like a campaign's audience.

Owns export_run. Never writes anybody down whom the gate would refuse.
"""
