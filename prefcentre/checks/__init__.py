"""Everything that is looked at before a campaign goes: what was found, why it matters, and how to mend it.

Owns campaign_check, the last look at each campaign. Never sends anything and never changes a campaign.
"""
