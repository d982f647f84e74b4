"""Notices of changes: to the privacy policy, or to what a topic is about (R185, D35).

Owns notice and notice_person. A notice is a service mail and no advertising: nothing in it is counted, and what people
stopped does not keep it back.
"""
