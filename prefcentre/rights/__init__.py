"""What people may ask of those who hold their data, and how long anything is held at all.

Owns the register of requests, the links to one's data, erasures and the account of retention. Never decides who is written to.
"""
