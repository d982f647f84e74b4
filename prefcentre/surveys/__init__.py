"""Surveys: questions to people who agreed to be asked, on a topic that is for nothing else (R95).

Owns no table: surveys and what people answered stand in ``answers``, below ``consent``.
"""
