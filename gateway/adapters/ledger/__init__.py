"""The ledger in Redis: its scripts, how they are called, and how it is read."""
