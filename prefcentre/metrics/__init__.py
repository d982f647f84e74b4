"""What every process counts and times while it works, in files that the page for monitoring reads.

Owns ``metrics/`` in the data folder. Never holds anything about a person, and never stops anybody's work.
"""
