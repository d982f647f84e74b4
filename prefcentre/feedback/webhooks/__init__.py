"""Calls of mail providers: one module for each, which verifies a call and says what it tells in our words.

Decides nothing about people; ``front`` hands what is proved to ``effects``.
"""
