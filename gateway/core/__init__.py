"""Ground floor: decisions on immutable values.

Rules of this floor: standard library only, no clock, no randomness, no I/O, no globals that
change. Anything here can be tested with plain values and no fixture; a test keeps it so.
"""
