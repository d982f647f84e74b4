"""Bring people and their consents in from CSV files, in chunks that go on where they stopped.

Works on import_run (in subscribers). Never revives a consent or an address that a person, a bounce or a rule ended.
"""
