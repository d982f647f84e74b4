"""People as staff see them: find one among many, everything about one, and what may be done for them.

Owns no table; asks the packages that do. Never decides who may be written to.
"""
