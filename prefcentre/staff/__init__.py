"""The company's own people: their accounts, roles, sessions and ways to prove who they are.

Owns staff_user, staff_session, staff_passkey and staff_attempt. Never holds anything about subscribers.
"""
