"""What people answered in surveys, tied to the consent that each answer rests on (R95).

Owns survey and survey_answer. Stands below ``consent``, so that whatever ends a consent removes what rested on it in the same
transaction.
"""
