"""The soak: real processes under simulators of real providers, harmed all the time, and the books
compared after every epoch. `scripts/chaos soak`, `campaign.py`.
"""
