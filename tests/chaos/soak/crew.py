"""The processes of an epoch, and their supervisor: what has died is started again."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.chaos.soak.books import Life
from tests.chaos.sweep.processes import end, is_alive
from tests.chaos.sweep.zygote import Zygote
from tests.ports import own_port

PAUSE_SECONDS: Final = 0.3
STOCK: Final = ("rq", "worker", "-S", "json", "--worker-ttl", "16", "--maintenance-interval", "1")


@dataclass(slots=True)
class Post:
    """A place that one process after the other holds: a gateway on its port, a worker."""

    kind: str
    words: Sequence[str]
    environ: Mapping[str, str]
    pid: int = 0
    start_at: float = 0.0
    starts: int = 0


@dataclass(slots=True)
class Crew:
    """`lives`: of every process that ever was, by its id."""

    zygote: Zygote
    root: Path
    environ: Mapping[str, str]
    posts: list[Post] = field(default_factory=list)
    lives: dict[int, Life] = field(default_factory=dict)

    def gateway(self, url: str) -> int:
        """Its port, which it keeps through all restarts."""
        port = own_port()
        words = ("hookline", "serve", "--port", str(port), "--admin-port", "0")
        self.posts.append(Post("gateway", words, {"REDIS_URL": url}))
        return port

    def worker(self, url: str) -> None:
        self.posts.append(Post("worker", ("hookline", "worker"), {"REDIS_URL": url}))

    def stock(self, url: str, queue: str) -> None:
        self.posts.append(Post("stock", (*STOCK, "-u", url, queue), {"REDIS_URL": url}))

    def look_after(self) -> None:
        """Starts what has ended, after a pause: what ends at once must not take the machine."""
        for post in self.posts:
            if post.pid and is_alive(post.pid):
                continue
            if post.pid:
                self.lives[post.pid].ended = time.time()
                post.pid, post.start_at = 0, time.monotonic() + PAUSE_SECONDS * (post.starts > 0)
            if time.monotonic() >= post.start_at:
                self._start(post)

    def _start(self, post: Post) -> None:
        log = self.root / f"{post.kind}.log"
        post.pid = self.zygote.fork(post.words, {**self.environ, **post.environ}, self.root, log)
        post.starts += 1
        self.lives[post.pid] = Life(post.kind)

    def of(self, *kinds: str) -> list[int]:
        """Those that live and were not stopped, in the order of their posts."""
        return [
            each.pid
            for each in self.posts
            if each.kind in kinds
            and each.pid
            and is_alive(each.pid)
            and not self.lives[each.pid].stopped_now
        ]

    def kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.lives[pid].killed = time.time()

    def tell_to_end(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            self.lives[pid].told = time.time()

    def stop(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self.lives[pid].stops.append((time.time(), 0.0))

    def go_on(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        began, _ = self.lives[pid].stops[-1]
        self.lives[pid].stops[-1] = (began, time.time())

    def all_go_on(self) -> None:
        for pid, life in self.lives.items():
            if life.stopped_now:
                self.go_on(pid)

    def end(self) -> None:
        end(list(self.lives))
