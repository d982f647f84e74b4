"""What people see: public pages for subscribers.

Owns no table. Never decides anything and never asks the database: it reads forms, calls services, shows answers.
"""
