"""The bugs that `scripts/chaos mutate` plants: known ways for webhooks to get lost, doubled or forged.

Each is one replacement in one file, and names what has to notice it: tests, or cases of the sweep.
"""

from dataclasses import dataclass
from typing import Final

LUA: Final = "gateway/adapters/ledger/lua/"
WORKER: Final = "gateway/adapters/worker/"
LEDGER: Final = "tests/adapters/test_ledger_"
JITTER: Final = "test_a_delay_is_a_random_part_of_the_ceiling_and_never_more_than_the_longest"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` stands exactly once in `file`. `held_by`: test files or tests; `cases` of the sweep."""

    name: str
    file: str
    old: str
    new: str
    held_by: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()


MUTANTS: Final = (
    Mutant(
        "200 before it is stored",
        "gateway/ingest.py",
        "self.ledger.ask(asked.arrivals, asked.source, self.deadline, hear)",
        "self.ledger.ask(asked.arrivals, asked.source, self.deadline, hear); hear([])",
        cases=("gateway/accept#6/before/kill", "gateway/accept#6/before/on"),
    ),
    Mutant(
        "a timeout is answered 200",
        "gateway/ingest.py",
        "return Ending(Outcome.UNAVAILABLE, absence=absence)",
        "return Ending(Outcome.ACCEPTED)",
        cases=("gateway/accept#6/before/on", "gateway/accept#9/half-open/on"),
    ),
    Mutant(
        "commands are repeated silently",
        "gateway/adapters/ledger/redis_clients.py",
        " Retry(NoBackoff(), 0, CLOSING)",
        " Retry(NoBackoff(), 3, CLOSING)",
        held_by=("tests/adapters/test_redis_clients.py",),
    ),
    Mutant(
        "finish asks for no fence",
        LUA + "finish.lua",
        "if of[1] ~= 'leased' or of[2] ~= ARGV[i + 1] then",
        "if of[1] ~= 'leased' then",
        held_by=(LEDGER + "finish.py",),
    ),
    Mutant(
        "renew asks for no fence",
        LUA + "renew.lua",
        "local held = of[1] == 'leased' and of[2] == ARGV[i + 1]",
        "local held = of[1] == 'leased'",
        held_by=(LEDGER + "finish.py",),
    ),
    Mutant(
        "a new claim has the old fence",
        LUA + "claim.lua",
        "attempts, fence = attempts + 1, fence + 1",
        "attempts, fence = attempts + 1, math.max(fence, 1)",
        held_by=(LEDGER + "claim.py",),
    ),
    Mutant(
        "a crash is not counted: poison for ever",
        LUA + "claim.lua",
        "crashes = crashes + 1",
        "crashes = crashes + 0",
        held_by=(LEDGER + "claim.py",),
    ),
    Mutant(
        "a lease is not looked at: a claimed delivery may be claimed again",
        LUA + "claim.lua",
        "early = not again and (state == 'leased' or state == 'waiting') and lease_ends > now",
        "early = not again and state == 'waiting' and lease_ends > now",
        held_by=(LEDGER + "claim.py",),
    ),
    Mutant(
        "the sweeper forgets what is leased",
        LUA + "sweep.lua",
        "if not state or state == 'done' or state == 'dead' then\n    redis.call('ZREM', prefix .. "
        "':pending:' .. source, delivery)\n    return\n  end\n  redis.call('ZADD', prefix .. "
        "':pending:' .. source, now + look_ms, delivery)\n  local _, queue",
        "if not state or state == 'done' or state == 'dead' or state == 'leased' then\n    "
        "redis.call('ZREM', prefix .. ':pending:' .. source, delivery)\n    return\n  end\n  "
        "redis.call('ZADD', prefix .. ':pending:' .. source, now + look_ms, delivery)\n  "
        "local _, queue",
        cases=("worker/finish#1/before/kill",),
    ),
    Mutant(
        "a claim whose reply was lost is another attempt: poison that never ran",
        LUA + "claim.lua",
        "local again = state == 'leased' and token ~= ''",
        "local again = state == 'nothing' and token ~= ''",
        held_by=(LEDGER + "claim.py", "tests/adapters/test_jobs.py"),
    ),
    Mutant(
        "workers that are killed make poison of what ran there",
        LUA + "claim.lua",
        "if crashes >= most_crashes and own >= most_crashes - 1 then",
        "if crashes >= most_crashes then",
        held_by=(LEDGER + "claim.py",),
    ),
    Mutant(
        "a pressed Requeue that got lost is a dead letter that nobody sees",
        LUA + "refile.lua",
        "for _, delivery in ipairs(letters) do look(delivery) end",
        "",
        held_by=(LEDGER + "operators.py",),
    ),
    Mutant(
        "a line's turn is passed on by whoever ends",
        LUA + "_order.lua",
        "if (redis.call('GET', turn) or delivery) ~= delivery then return end",
        "if false then return end",
        held_by=(LEDGER + "order.py", "tests/model/test_model.py"),
    ),
    Mutant(
        "accepted, and in no index: a lost bell is a lost event",
        LUA + "_store.lua",
        "zadd_later(pending, source, look_at, delivery)\n        local job",
        "local job",
        cases=("stock/BLMOVE#1/after/kill", "stock/HGETALL#1/before/kill"),
    ),
    Mutant(
        "a repeat is a second event",
        LUA + "accept.lua",
        "if known then return repeated(",
        "if known and false then return repeated(",
        cases=("gateway/accept#6/after/on", "gateway/accept#9/after/kill"),
        held_by=(LEDGER + "accept.py",),
    ),
    Mutant(
        "a repeat of a dead event is swallowed",
        LUA + "accept.lua",
        "if state ~= 'dead' or not revive_dead then return state end",
        "if state ~= 'nothing' then return state end",
        held_by=(LEDGER + "accept.py",),
    ),
    Mutant(
        "what is replayed expires meanwhile",
        LUA + "_ends.lua",
        "  redis.call('PERSIST', record)\n",
        "",
        held_by=(LEDGER + "replay.py",),
    ),
    Mutant(
        "a worker does not look for leases it never heard of",
        WORKER + "worker.py",
        "                self._turns.in_doubt = True\n",
        "",
        cases=("worker/claim#1/after/on", "worker/claim#2/after/on"),
    ),
    Mutant(
        "how an attempt ended is forgotten when it cannot be recorded",
        WORKER + "leases.py",
        "        endings = list(self._ended.values())\n",
        "        endings = list(self._ended.values())\n        self._ended.clear()\n",
        cases=("worker/finish#1/before/on", "worker/finish#2/before/on"),
    ),
    Mutant(
        "a stock worker gives up when an end cannot be recorded",
        "gateway/jobs.py",
        "            if time.monotonic() > deadline:\n",
        "            if deadline:\n",
        cases=("stock/finish#1/before/on", "stock/finish#2/before/on"),
    ),
    Mutant(
        "nobody renews leases",
        WORKER + "keeper.py",
        "                    self._renew()\n",
        "                    pass\n",
        held_by=("tests/adapters/test_keeper.py",),
    ),
    Mutant(
        "nobody sweeps",
        WORKER + "keeper.py",
        "                self._sweep()\n",
        "                pass\n",
        cases=("worker/BLPOP#2/after/kill", "worker/finish#1/before/kill"),
    ),
    Mutant(
        "a restart of the server is an error: forgotten scripts are not sent again",
        "gateway/adapters/ledger/scripts.py",
        "    except NoScriptError:  # after a restart or SCRIPT FLUSH; nothing has been executed\n",
        "    except ZeroDivisionError:\n",
        held_by=(LEDGER + "server.py",),
    ),
    Mutant(
        "signatures are compared with ==",
        "gateway/core/schemes/algorithms.py",
        "found |= hmac.compare_digest(expected, candidate)",
        "found |= expected == candidate",
        held_by=("tests/test_architecture.py",),
    ),
    Mutant(
        "everysec is taken for durable",
        "gateway/adapters/ledger/durability.py",
        '= {"appendonly": ("yes",), "appendfsync": ("always",)}',
        '= {"appendonly": ("yes",), "appendfsync": ("always", "everysec")}',
        held_by=("tests/adapters/test_durability.py",),
    ),
    Mutant(
        "a duplicate is answered before a replica has its event",
        "gateway/adapters/ledger/script_line.py",
        'return ("PUBLISH", self._copied, b""), ("WAIT"',
        'return ("PING",), ("WAIT"',
        held_by=("tests/adapters/test_replicated.py",),
    ),
    Mutant(
        "too few replicas are enough",
        "gateway/adapters/ledger/script_line.py",
        "if replicas and replies[-1] < replicas:",
        "if replicas and replies[-1] < 0:",
        held_by=("tests/adapters/test_replicated.py",),
    ),
    Mutant(
        "a server that evicts is good enough",
        "gateway/adapters/ledger/durability.py",
        "if policy != KEEPING:",
        "if policy == 'allkeys-random':",
        held_by=("tests/adapters/test_durability.py",),
    ),
    Mutant(
        "the spool is acknowledged before fsync",
        "gateway/adapters/spool/store.py",
        '"synchronous = FULL"',
        '"synchronous = OFF"',
        held_by=("tests/adapters/test_spool_store.py",),
    ),
    Mutant(
        "the spool forgets what the ledger did not take",
        "gateway/adapters/spool/drain.py",
        "            await self.run(self.store.remove, [each.number for each in taken])\n",
        "            await self.run(self.store.remove, [each.number for each in batch])\n",
        held_by=("tests/adapters/test_spool_drain.py",),
    ),
    Mutant(
        "all retries come back at the same moment",
        "gateway/core/retry.py",
        "return ceiling * jitter",
        "return ceiling",
        held_by=("tests/core/test_retry.py::" + JITTER,),
    ),
    Mutant(
        "one source's ids hide another's",
        "gateway/core/event.py",
        'b"\\0".join((source.encode(), kind.encode(), value))',
        'b"\\0".join((kind.encode(), value))',
        held_by=(LEDGER + "accept.py",),
    ),
)
