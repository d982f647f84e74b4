"""Measurements; the figures to reach are in the design."""
