"""Working through many: a clock that Ctrl-C makes stop between two steps, and a bar to watch."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Patience:
    """The flow's clock. Ctrl-C ends a sleep and lets a call end, so that its answer is counted."""

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> "Patience":
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def stopped(self) -> bool:
        return self._asked


@contextmanager
def progress(verb: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where somebody watches; call what it yields with how many more are done."""
    if not sys.stderr.isatty() or total < 2:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb.capitalize(), total=total)
        yield lambda many: bar.advance(task, many)
