"""A complete example in a scratch folder: made-up people, a local inbox, two campaigns.

Owns the inbox. Never touches a real installation: its settings are its own folder's alone.
"""
