"""What people write to us on the contact form: a queue of dated tasks.

Owns contact_request. Never says whether it knows somebody, and changes a choice only when staff heed a request.
"""
