"""Carries faults out: on processes, on the server, with the tools of RQ's operators."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, requeue_job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from tests.chaos.soak.books import Life, Span
from tests.chaos.soak.crew import Crew
from tests.chaos.soak.plan import Act, Step
from tests.chaos.soak.server import Server
from tests.chaos.soak.wire import Harm, Wire

POLL_SECONDS: Final = 0.03
JOBS_AT_ONCE: Final = 30
WORKERS_SHARE: Final = 3
"""Each such harmed command is a worker's: they send fewer, and take longer over a lost connection."""
GREETING_EVERY: Final = 10
"""Of the harmed commands each such one may be of those that open a connection."""
CHILD: Final = b"gateway.isolated"
CHILD_LOOKS: Final = 200


@dataclass(slots=True)
class Acts:
    """On these; the first wire is the gateways', the other the workers'.

    `away`: when the server was; `replayed`: what Requeue was pressed for.
    """

    crew: Crew
    wires: tuple[Wire, Wire]
    server: Server
    queues: Sequence[str]
    done: Counter[Act] = field(default_factory=Counter)
    away: list[Span] = field(default_factory=list)
    replayed: set[str] = field(default_factory=set)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    def count(self) -> Counter[str]:
        """All that was carried out, by name."""
        hits = sum((wire.hits for wire in self.wires), Counter[str]())
        return hits + Counter({str(act): many for act, many in self.done.items()})

    async def carry_out(self, step: Step) -> None:
        """Counts it when there was somebody to do it to."""
        if isinstance(step.what, Harm):
            wire = self.wires[step.who % WORKERS_SHARE == 0]
            wire.harm(step.what, greeting=step.who % GREETING_EVERY == 0)
            return
        with suppress(RedisError, NoSuchJobError, InvalidJobOperation):
            if await self._do(step.what, step):
                self.done[step.what] += 1

    async def _do(self, act: Act, step: Step) -> bool:
        match act:
            case Act.GATEWAY_KILLED | Act.GATEWAY_STOPPED | Act.GATEWAY_RESTARTED:
                return await self._harm_one(("gateway",), act, step)
            case Act.WORKER_KILLED | Act.WORKER_STOPPED | Act.WORKER_RESTARTED:
                return await self._harm_one(("worker", "stock"), act, step)
            case Act.CHILD_KILLED:
                return await self._kill_child(step)
            case Act.SERVER_KILLED | Act.SERVER_TORN | Act.SERVER_REWRITING | Act.SERVER_STOPPED:
                return await self._harm_server(act, step)
            case _:
                return await self._at_server(act, step)

    async def _harm_one(self, kinds: Sequence[str], act: Act, step: Step) -> bool:
        found = self.crew.of(*kinds)
        if not found:
            return False
        pid = found[step.who % len(found)]
        if act in (Act.GATEWAY_KILLED, Act.WORKER_KILLED):
            self.crew.kill(pid)
        elif act in (Act.GATEWAY_RESTARTED, Act.WORKER_RESTARTED):
            self.crew.tell_to_end(pid)
        else:
            self.crew.stop(pid)
            await asyncio.sleep(step.seconds)
            self.crew.go_on(pid)
        return True

    async def _kill_child(self, step: Step) -> bool:
        """Only what a killed worker held runs in one. Its processor then runs alone, for long, in the
        worker that had the child: that one is restarted."""
        if not await self._harm_one(("worker",), Act.WORKER_KILLED, step):
            return False
        for _ in range(CHILD_LOOKS):
            found = [(child, pid) for pid in self.crew.of("worker") for child in _children(pid)]
            if found:
                child, worker = found[step.who % len(found)]
                self.crew.lives[child] = Life("child")
                self.crew.kill(child)
                await asyncio.sleep(1.0)
                self.crew.tell_to_end(worker)
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _harm_server(self, act: Act, step: Step) -> bool:
        if self._one_at_a_time.locked():
            return False
        async with self._one_at_a_time:
            if act is Act.SERVER_REWRITING:
                await self._ask("BGREWRITEAOF")
                await asyncio.sleep(0.02 + step.who / 5000)
            began = time.time()
            if act is Act.SERVER_STOPPED:
                self.server.stop_for_a_while(stop=True)
                await asyncio.sleep(step.seconds)
                self.server.stop_for_a_while(stop=False)
            else:
                self.server.kill()
                if act is Act.SERVER_TORN:
                    self.server.tear()
                self.server.start()
            await self.until_server_answers()
            self.away.append((began, time.time()))
        return True

    async def until_server_answers(self) -> None:
        while not await asyncio.to_thread(self.server.answers):
            await asyncio.sleep(POLL_SECONDS)

    async def _at_server(self, act: Act, step: Step) -> bool:
        match act:
            case Act.MEMORY_FULL:
                await self._ask("CONFIG", "SET", "maxmemory", "1mb")
                await asyncio.sleep(step.seconds)
                await self._ask("CONFIG", "SET", "maxmemory", "0")
            case Act.SCRIPTS_FLUSHED:
                await self._ask("SCRIPT", "FLUSH")
            case Act.CLIENTS_KILLED:
                await self._ask("CLIENT", "KILL", "TYPE", "normal")
            case Act.SUSPENDED:
                await asyncio.to_thread(suspend, self.server.client)
                await asyncio.sleep(step.seconds)
                await asyncio.to_thread(resume, self.server.client)
            case _:
                queue = self.queues[step.who % len(self.queues)]
                tool: Callable[[str], None] = {
                    Act.QUEUE_EMPTIED: self._empty,
                    Act.JOBS_DELETED: self._delete_jobs,
                    Act.COUNTED: self._count,
                    Act.REQUEUED: self._requeue,
                }[act]
                await asyncio.to_thread(tool, queue)
        return True

    async def _ask(self, *words: str) -> Any:
        return await asyncio.to_thread(self.server.client.execute_command, *words)

    # What operators of RQ do

    def _queue(self, name: str) -> Queue:
        return Queue(name, connection=self.server.client, serializer=JSONSerializer)

    def _empty(self, name: str) -> None:
        self._queue(name).empty()  # type: ignore[no-untyped-call]  # rq's

    def _delete_jobs(self, name: str) -> None:
        for job in self._queue(name).get_job_ids(0, JOBS_AT_ONCE):
            with suppress(NoSuchJobError):
                Job.fetch(job, connection=self.server.client, serializer=JSONSerializer).delete()

    def _count(self, name: str) -> None:
        """Which cleans up in RQ, whoever counts."""
        for kind in (StartedJobRegistry, FailedJobRegistry, ScheduledJobRegistry):
            assert kind(name, connection=self.server.client, serializer=JSONSerializer).count >= 0

    def _requeue(self, name: str) -> None:
        for job in FailedJobRegistry(name, connection=self.server.client).get_job_ids():
            self.replayed.add(job)
            requeue_job(job, connection=self.server.client, serializer=JSONSerializer)


def _children(worker: int) -> list[int]:
    """Those that run one attempt of this worker."""
    found = []
    for task in Path(f"/proc/{worker}/task").glob("*/children"):
        with suppress(OSError):
            for pid in map(int, task.read_text().split()):
                if CHILD in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
    return found
