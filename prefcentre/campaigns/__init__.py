"""What is sent and when: campaign files, content versions, states and schedules.

Owns campaign, campaign_content, campaign_link and sender_domain. Never knows who gets it.
"""
