"""How much may be sent where, and when: limits that hold for all processes together and survive restarts.

Owns throttle, throttle_use, throttle_state and throttle_share. Never knows a person; never waits and never sends.
"""
