"""The garbage collector, out of the way of requests and deliveries.

It looks for what only refers to itself, and nearly nothing of ours does. But it looks whenever some
hundred objects are more than before, as in every burst, and now and then through all that the process
has loaded: a tenth of a request's time, and a pause of 50 to 200 ms for all who wait.
"""

import gc
from typing import Final

YOUNG: Final = 50_000  # objects, from which on it looks through those: some megabytes at most
OLDER: Final = 20  # times of the one before


def spare_what_stays() -> None:
    """To be called when a process is ready, and when it has loaded anew: what lives now is not looked
    through again, but for what was left of the time before."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
