"""The ledger's state machine, small enough to try all orders of steps, beside the real scripts."""
