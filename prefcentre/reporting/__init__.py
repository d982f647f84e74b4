"""Figures for people who look back: what became of campaigns, how they compare, how lists grow.

Owns campaign_figures, subscriber_day and read_mark. Never decides about a person and never changes what it counts.
"""
