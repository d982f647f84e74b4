"""What people agreed to: topics, the words shown, and the append-only ledger of consent events.

Owns topic, consent_wording, consent_event, consent_head and consent. Never changes or deletes an event.
"""
