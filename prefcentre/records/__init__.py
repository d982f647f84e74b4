"""What has to be shown to authorities: the record of processing, and whom a breach concerns.

Owns no data; reads what the other packages hold and what the settings say.
"""
