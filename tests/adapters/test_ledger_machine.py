"""Whatever gateways, workers, operators, RQ's tools and bad luck do, in any order: nothing is lost.

After every step: each delivery is what the model says, held by one at most, in exactly one index, and
shown by RQ as what it is. At the end, with time and sweeps, everything accepted is done or dead, and
RQ's books are empty. HYPOTHESIS_PROFILE=deep walks longer and further.
"""

import os
from collections import deque
from typing import Any, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis
from rq.job import requeue_job
from rq.serializers import JSONSerializer

from gateway.adapters.ledger import calls as ledger
from gateway.adapters.ledger.calls import NotClaimed
from gateway.core.delivery import Claimed
from gateway.core.event import Turn
from gateway.core.retry import Decision, Wait
from tests.adapters.ledger_model import ABANDON_AFTER, SOURCES, Delivery, Model
from tests.adapters.ledger_rig import DONE, EXHAUSTED, LEASE, LOOK, Rig, a_proof, an_event
from tests.adapters.rq_books import assert_true, empty, has_job, run_scheduler, storm

DEEP: Final = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
SETTINGS: Final = settings(
    max_examples=600 if DEEP else 16,
    stateful_step_count=100 if DEEP else 50,
    derandomize=not DEEP,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
PROCESSORS: Final = {
    **{"1": ["a"], "2": ["a", "b"], "3": ["a", "b"]},
    **{"4": ["skips"], "5": ["skips", "a"], "6": ["a", "skips"]},
    **{"7": ["blocks"], "8": ["blocks"], "9": ["skips", "blocks"]},
    **{"old": ["latest"], "new": ["latest", "a"]},
}
CONTENT: Final = {"1": "same", "3": "same"}  # one of the two is the other under a new id
VERSIONS: Final = {"old": "n1", "new": "n2"}
LINES: Final = {"skips": ["4", "5", "6"], "blocks": ["7", "8", "9"], "latest": ["new", "old"]}
WAITS: Final = (Wait(0.0), Wait(2 * LEASE / 1000), Wait(0.0, counted=False))
DECISIONS: Final[list[Decision | None]] = [DONE, *WAITS, EXHAUSTED, None]
MISFORTUNES: Final = (
    *("ask_rq", "run_the_scheduler_of_rq", "empty_the_queue", "delete_the_list", "pop_and_forget"),
    *("take_out_of_the_middle", "delete_a_job", "push_a_strange_job", "lose_a_turn"),
)
queues = st.sampled_from(sorted(SOURCES))
choices = st.integers(0, 63)


def turns_of(source: str, value: str) -> list[Turn]:
    return [
        Turn(number, f"{source}-{name}", name == "blocks", VERSIONS.get(value, ""))
        for number, name in enumerate(PROCESSORS[value], 1)
        if name not in ("a", "b")
    ]


class Ledger(RuleBasedStateMachine):
    def __init__(self, redis: "Redis") -> None:
        super().__init__()
        redis.flushall()
        self.rig = Rig(redis)
        self.model = Model()
        self.held: list[Claimed] = []
        self.lost: set[str] = set()  # job ids whose bell was taken away
        self.unbooked: set[str] = set()  # job ids that RQ may not show where they belong
        self.deleted: set[str] = set()  # job ids whose job was deleted
        self.muddled: set[str] = set()  # queues in which not only our bells lie, all in order
        self.upset: set[str] = set()  # lines of which the turn was lost
        self.started: dict[str, int] = {}  # the arrival of the last that began its first run, by line

    def pick(self, choice: int) -> Delivery | None:
        known = list(self.model.deliveries())
        return known[choice % len(known)] if known else None

    def rang(self, delivery: Delivery) -> None:
        self.lost.discard(delivery.bell)
        self.deleted.discard(delivery.bell)
        self.unbooked.discard(delivery.id)
        assert delivery.bell in self.rig.queued(delivery.event.source)

    def ran(self, delivery: Delivery, claimed: Claimed) -> None:
        assert (claimed.fence, claimed.attempt) == (delivery.fence, delivery.attempts)
        assert claimed.crashes == delivery.crashes
        self.deleted.discard(f"{delivery.id}-{delivery.fence}")
        self.held.append(claimed)
        line = delivery.turn.key
        if line and claimed.fence == 1 and line not in self.upset:
            assert delivery.turn.version or self.started.get(line, 0) < delivery.arrival
            self.started[line] = delivery.arrival

    def turns_passed(self) -> None:
        rung, self.model.rung = self.model.rung, []
        for each in rung:
            if each.event.source not in self.muddled:
                self.rang(each)

    def took_away(self, queue: str) -> None:
        """Bells that are gone now are lost, whether somebody still needed them or not."""
        left = self.rig.queued(queue)
        self.lost |= {each.bell for each in self.model.deliveries() if each.event.source == queue}
        self.lost -= set(left)

    # What a gateway does.

    @rule(source=queues, values=st.lists(st.sampled_from(sorted(PROCESSORS)), min_size=1, max_size=3))
    def accept(self, source: str, values: list[str]) -> None:
        resting = {each.id for each in self.model.deliveries() if each.state != "dead"}
        content = [CONTENT.get(each, "") for each in values]
        turns = [turns_of(source, each) for each in values]
        wanted = [
            self.model.accept(source, each, len(PROCESSORS[each]), same, own)
            for each, same, own in zip(values, content, turns, strict=True)
        ]
        rows = [
            (an_event(each, source, content=same), SOURCES[source], PROCESSORS[each], own)
            for each, same, own in zip(values, content, turns, strict=True)
        ]
        assert self.rig.run(ledger.accept(rows, LOOK)) == wanted
        for value, word in zip(values, wanted, strict=True):
            if word in ("accepted", "revived"):
                for each in self.model.events[source + value].deliveries:
                    if each.id not in resting and each.state == "pending":
                        self.rang(each)

    @rule()
    def sweep(self) -> None:
        lay = {bell.rpartition("-")[0] for name in SOURCES for bell in self.rig.queued(name)}
        waited = {each.id for each in self.model.deliveries() if each.state == "waiting"}
        looked = self.model.sweep()
        silent = [each for each in looked if each.id in waited or each.id not in lay]
        counts = self.rig.sweep(*SOURCES)
        if not self.muddled:
            assert counts == (len(looked), len(silent) + len(self.model.rung))
        self.turns_passed()
        for each in looked:
            if each.state == "leased":
                self.unbooked.add(f"{each.id}-{each.fence}")
        for each in silent:
            if each.event.source not in self.muddled:
                self.rang(each)

    # What a worker does.

    @rule(queue=queues, many=st.integers(1, 4))
    def claim(self, queue: str, many: int) -> None:
        bells = deque(self.rig.queued(queue))
        for row in self.rig.claim((queue, many), abandon_after=ABANDON_AFTER):
            text = bells.popleft()
            delivery = self.model.find("-".join(text.split("-")[:2]))
            assert row.delivery == (text if text.startswith("stranger") else text[:32])
            if isinstance(row, Claimed):
                assert delivery is not None
                assert self.model.claim(delivery) == "run"
                self.ran(delivery, row)
            elif text.startswith("stranger"):
                assert row.word == "foreign"
            elif delivery is None:
                assert row.word == "missing"
            elif text == delivery.id:
                word = self.model.replay(delivery)
                assert row.word == ("busy" if word == "leased" else word)
                if word == "replayed":
                    bells.append(delivery.bell)
                    self.unbooked.discard(delivery.id)
            else:
                assert row.word == self.model.claim(delivery)
        self.turns_passed()

    @rule(choice=choices)
    def claim_by_id(self, choice: int) -> None:
        if delivery := self.pick(choice):
            (row,) = self.rig.claim(taken=[(delivery.id, "")], abandon_after=ABANDON_AFTER)
            word = self.model.claim(delivery)
            assert (row.word if isinstance(row, NotClaimed) else "run") == word
            if isinstance(row, Claimed):
                self.ran(delivery, row)
            self.turns_passed()

    @precondition(lambda self: self.held)
    @rule(decision=st.sampled_from(DECISIONS))
    def finish_the_latest(self, decision: Decision | None) -> None:
        self.finish(0, decision)

    @precondition(lambda self: self.held)
    @rule(choice=choices, decision=st.sampled_from(DECISIONS))
    def finish(self, choice: int, decision: Decision | None) -> None:
        held = self.held[-1 - choice % len(self.held)]
        delivery = self.model.find(held.delivery)
        current = self.model.holds(delivery, held.fence)
        assert self.rig.finish(held, decision, "{}") is current
        if current and delivery:
            self.model.finish(delivery, decision)
            if decision is None:
                self.rang(delivery)
            self.deleted.discard(delivery.bell if delivery.state == "waiting" else delivery.id)
            self.turns_passed()

    @rule(source=queues, name=st.sampled_from(sorted(LINES)))
    def accept_a_line(self, source: str, name: str) -> None:
        self.accept(source, LINES[name])

    @rule(choice=choices, decision=st.sampled_from(DECISIONS))
    def work_on_a_line(self, choice: int, decision: Decision | None) -> None:
        free = [each for each in self.model.holders.values() if each.state == "pending"]
        if free:
            known = list(self.model.deliveries())
            self.claim_by_id(known.index(free[choice % len(free)]))
            if self.held and self.held[-1].delivery in [each.id for each in free]:
                self.finish_the_latest(decision)

    @precondition(lambda self: self.held)
    @rule(choice=choices)
    def renew(self, choice: int) -> None:
        held = self.held[-1 - choice % len(self.held)]
        delivery = self.model.find(held.delivery)
        current = self.model.holds(delivery, held.fence)
        kept = current and delivery is not None and not delivery.given_up
        assert self.rig.run(ledger.renew([(held.delivery, held.fence)], LEASE)) == [kept]
        if kept and delivery:
            delivery.due = delivery.look = self.model.clock + LEASE

    @precondition(lambda self: self.held)
    @rule(choice=choices)
    def give_up(self, choice: int) -> None:
        held = self.held[-1 - choice % len(self.held)]
        delivery = self.model.find(held.delivery)
        current = self.model.holds(delivery, held.fence)
        assert self.rig.run(ledger.renew([(held.delivery, held.fence)], 0)) == [current]
        if current and delivery:
            self.model.give_up(delivery)

    # What an operator does.

    @rule(choice=choices, also_done=st.booleans())
    def replay(self, choice: int, also_done: bool) -> None:
        if delivery := self.pick(choice):
            word = self.model.replay(delivery, also_done)
            call = ledger.replay([delivery.id], also_done=also_done, look_ms=LOOK)
            assert self.rig.run(call) == [word]
            if word == "replayed" and delivery.state == "pending":
                self.rang(delivery)

    @rule(choice=choices)
    def discard(self, choice: int) -> None:
        if delivery := self.pick(choice):
            word = self.model.discard(delivery)
            assert self.rig.run(ledger.discard([delivery.id], look_ms=LOOK)) == [word]
            self.turns_passed()

    @rule(choice=choices)
    def press_requeue(self, choice: int) -> None:
        delivery = self.pick(choice)
        if delivery and delivery.state == "dead" and has_job(self.rig, delivery.id):
            shown = self.rig.members(f"rq:failed:{delivery.event.source}")
            if delivery.id in shown:
                requeue_job(delivery.id, connection=self.rig.redis, serializer=JSONSerializer)
                self.unbooked.add(delivery.id)
                self.muddled.add(delivery.event.source)

    # What RQ's tools and bad luck do.

    @rule(units=st.integers(1, 3))
    def pass_time(self, units: int) -> None:
        self.rig.pass_time(units * LEASE)
        for event in self.model.pass_time(units * LEASE):
            for each in event.deliveries:  # a later life of the event counts its fences anew
                self.held = [held for held in self.held if held.delivery != each.id]
                for known in (self.lost, self.unbooked, self.deleted):
                    known -= {job for job in known if job.startswith(each.id)}

    @rule(kind=st.sampled_from(MISFORTUNES), queue=queues, choice=choices)
    def misfortune(self, kind: str, queue: str, choice: int) -> None:
        getattr(self, kind)(queue, choice)

    def ask_rq(self, queue: str, _: int) -> None:
        storm(self.rig, queue)

    def run_the_scheduler_of_rq(self, queue: str, _: int) -> None:
        run_scheduler(self.rig, queue)
        self.muddled.add(queue)
        waiting = (each for each in self.model.deliveries() if each.state == "waiting")
        self.unbooked |= {each.bell for each in waiting if each.due <= self.model.clock}

    def empty_the_queue(self, queue: str, _: int) -> None:
        self.deleted |= set(self.rig.queued(queue))
        empty(self.rig, queue)
        self.took_away(queue)

    def delete_the_list(self, queue: str, _: int) -> None:
        self.rig.raw("DEL", f"rq:queue:{queue}")
        self.took_away(queue)

    def pop_and_forget(self, queue: str, _: int) -> None:
        self.rig.raw("LPOP", f"rq:queue:{queue}")
        self.took_away(queue)

    def take_out_of_the_middle(self, queue: str, choice: int) -> None:
        if bells := self.rig.queued(queue):
            self.rig.raw("LREM", f"rq:queue:{queue}", 1, bells[choice % len(bells)])
            self.muddled.add(queue)
            self.took_away(queue)

    def delete_a_job(self, queue: str, choice: int) -> None:
        if jobs := self.rig.scan("rq:job:*"):
            key = jobs[choice % len(jobs)]
            self.rig.raw("DEL", key)
            self.deleted.add(key.removeprefix("rq:job:"))

    def push_a_strange_job(self, queue: str, choice: int) -> None:
        self.rig.raw("LPUSH" if choice % 2 else "RPUSH", f"rq:queue:{queue}", "stranger-1")
        self.muddled.add(queue)

    def lose_a_turn(self, _: str, choice: int) -> None:
        if keys := sorted(self.model.holders):
            key = keys[choice % len(keys)]
            self.rig.raw("DEL", self.rig.keys.turn(key))
            del self.model.holders[key]
            self.upset.add(key)

    # What must hold at all times.

    @invariant()
    def every_delivery_is_what_the_model_says(self) -> None:
        for each in self.model.deliveries():
            row = self.rig.row(each.id)
            told = (row.state, row.attempts, row.crashes, row.fence)
            assert told == (each.state, each.attempts, each.crashes, each.fence), each

    @invariant()
    def every_open_delivery_is_in_the_index_and_every_dead_letter_in_its_own(self) -> None:
        for name in SOURCES:
            mine = [each for each in self.model.deliveries() if each.event.source == name]
            looks = dict(self.rig.redis.zscan_iter(self.rig.keys.pending(name)))
            assert {each.decode() for each in looks} == {each.id for each in mine if each.open}
            dead = self.rig.members(self.rig.keys.dead(name))
            assert dead == {each.id for each in mine if each.state == "dead"}
            for each in mine:
                if each.open:
                    ahead = looks[each.id.encode()] - self.rig.now()
                    assert abs(ahead - (each.look - self.model.clock)) < LEASE / 2

    @invariant()
    def of_a_line_one_has_the_turn_and_the_others_stand_by_arrival(self) -> None:
        kept = {key.rpartition(":")[2] for key in self.rig.scan(self.rig.keys.turn("*"))}
        assert kept == self.model.holders.keys()
        for key, holder in self.model.holders.items():
            assert self.rig.raw("GET", self.rig.keys.turn(key)).decode() == holder.id
        lines = {each.turn.key for each in self.model.deliveries() if each.state == "blocked"}
        assert {key.rpartition(":")[2] for key in self.rig.scan(self.rig.keys.line("*"))} == lines
        for key in lines:
            stored = self.rig.raw("ZRANGE", self.rig.keys.line(key), 0, -1)
            assert [each.decode() for each in stored] == [each.id for each in self.model.line(key)]
            assert key in self.upset or key in self.model.holders

    @invariant()
    def never_are_two_of_a_line_leased_at_once(self) -> None:
        leased = [each.turn.key for each in self.model.deliveries() if each.state == "leased"]
        for key in set(leased) - {""} - self.upset:
            assert leased.count(key) == 1

    @invariant()
    def an_event_expires_only_when_all_of_it_is_done(self) -> None:
        for event in self.model.events.values():
            key = self.rig.keys.event("evt_" + event.deliveries[0].id[4:30])
            body = self.rig.keys.body("evt_" + event.deliveries[0].id[4:30])
            lives = self.rig.lives(key), self.rig.lives(body)
            if event.ended is None:
                assert lives == (-1, -1)
            else:
                assert lives[0] > 0
                assert (lives[1] > 0) is self.model.has_body(event)

    @invariant()
    def a_proof_lives_exactly_as_the_record_of_its_event(self) -> None:
        proofs = set()
        for event in self.model.events.values():
            if event.content:
                record = self.rig.keys.event("evt_" + event.deliveries[0].id[4:30])
                proof = self.rig.keys.proof(a_proof(event.content, event.source))
                assert self.rig.raw("PEXPIRETIME", proof) == self.rig.raw("PEXPIRETIME", record)
                assert self.rig.raw("GET", proof).decode() == event.deliveries[0].id[4:30]
                proofs.add(proof)
        assert self.rig.proofs() == proofs

    @invariant()
    def rq_shows_the_truth(self) -> None:
        for name in SOURCES:
            if not self.rig.queued(name):
                self.muddled.discard(name)
            known = {"lost": self.lost, "unbooked": self.unbooked, "deleted": self.deleted}
            assert_true(self.rig, name, **known)

    def teardown(self) -> None:
        for _ in range(8):
            self.rig.pass_time(LOOK)
            self.rig.sweep(*SOURCES)
            while rows := self.rig.claim(*((name, 50) for name in SOURCES)):
                for row in rows:
                    assert isinstance(row, NotClaimed) or self.rig.finish(row)
            for name in SOURCES:  # those that block a line
                dead = sorted(self.rig.members(self.rig.keys.dead(name)))
                self.rig.run(ledger.discard(dead, look_ms=LOOK))
        for pattern in (self.rig.keys.turn("*"), self.rig.keys.line("*")):
            assert self.rig.scan(pattern) == []
        for name in SOURCES:
            assert self.rig.members(self.rig.keys.pending(name)) == set()
            self.rig.run(ledger.discard(sorted(self.rig.members(self.rig.keys.dead(name)))))
        books = [key for key in self.rig.scan("rq:*") if "foreign" not in key]
        assert set(books) <= {"rq:queues"}


def test_whatever_happens_nothing_is_lost_and_rq_shows_the_truth(redis: "Redis") -> None:
    make: Any = lambda: Ledger(redis)  # noqa: E731 - hypothesis asks for a class and takes any maker
    run_state_machine_as_test(make, settings=SETTINGS)
