"""Opens and clicks of people who agreed to be counted, each with its class and why.

Owns tracking_event. Never proof that a person read anything; ``links`` is the only home of pytracking.
"""
