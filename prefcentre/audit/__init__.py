"""What staff did to people's records, by whom and why.

Owns audit_event, which is only ever appended to. Never holds an address or a name.
"""
