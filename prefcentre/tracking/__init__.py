"""Opens and clicks of people who agreed to be counted, each with its class and why.

Owns tracking_event and the counts made of it. Never proof that a person read anything; ``links`` is the only home of pytracking.
"""
