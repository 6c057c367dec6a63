"""Flow 4: what is genuine now leaves the quarantine once it is stored; the rest stays and says why."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.core.capture import Captured
from gateway.core.event import Arrival
from gateway.core.outcomes import Acceptance, Outcome, Refusal
from gateway.core.request import Headers, InboundRequest
from gateway.core.routing import Routing
from gateway.core.schemes.token import TokenScheme
from gateway.core.source import Source
from gateway.core.template import Reference
from gateway.endings import Ending
from gateway.ingest import Ingest
from gateway.ports import Ledger, Quota, Unavailable
from gateway.refusals import PAGE, Judged, Release, rehearsing, releasing

TOKEN = TokenScheme((Reference("header", "x-token"),))
SHOP = Source("shop", "/hooks/shop", "shop", TOKEN, (TOKEN.load_key(b"right"),), url="https://x/shop")


def a_request(token: bytes = b"right", at: float = 5.0) -> InboundRequest:
    headers = Headers(((b"x-token", token),))
    return InboundRequest("POST", "/hooks/shop", b"", headers, b"%f" % at, None, at)


@dataclass
class Fakes(Ledger, Quota):
    """A quarantine in memory, and a ledger that takes note."""

    kept: dict[str, Captured] = field(default_factory=dict)
    stored: list[Any] = field(default_factory=list)
    acceptance: Acceptance = Acceptance.ACCEPTED
    away_after: int = 1000
    stop_after: int = 1000

    def waiting(self, source: str) -> list[str]:
        return list(self.kept)

    def whole(self, source: str, ids: Sequence[str]) -> list[Captured | None]:
        return [self.kept.get(each) for each in ids]

    def settle(self, source: str, verdicts: Iterable[tuple[str, str]]) -> None:
        for name, reason in verdicts:
            if reason:
                self.kept[name] = replace(self.kept[name], reason=reason)
            else:
                assert len(self.stored) > 0 or self.acceptance is not Acceptance.ACCEPTED
                del self.kept[name]

    async def accept(self, arrivals: Sequence[Arrival], source: Source) -> list[Acceptance]:
        if len(self.stored) >= self.away_after:
            raise Unavailable
        self.stored += [each.event for each in arrivals]
        return [self.acceptance for _ in arrivals]

    async def charge(self, source: Source) -> float | None:
        return None

    @property
    def ingest(self) -> Ingest:
        ports: Any = self
        return Ingest(ports, ports, lambda *_: Routing(("archive",)), ports, ports, ports, ports)

    def fill(self, *tokens: bytes) -> None:
        for number, token in enumerate(tokens):
            captured = Captured.of(a_request(token, float(number)), "shop", "signature_mismatch")
            self.kept[f"ref_{number}"] = captured

    def release(self, **options: Any) -> list[Judged]:
        async def work() -> list[Judged]:
            options.setdefault("receive", releasing(self.ingest).receive)
            options.setdefault("stopped", lambda: len(self.stored) >= self.stop_after)
            release = Release(self, **options)
            return [each async for page in release.take(SHOP, self.waiting("shop")) for each in page]

        return asyncio.run(work())


def test_what_is_genuine_now_is_stored_and_leaves_oldest_first() -> None:
    fakes = Fakes()
    fakes.fill(b"right", b"wrong", b"right")
    judged = fakes.release()
    outcomes = [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.ACCEPTED]
    assert [each.outcome for each in judged] == outcomes
    assert [each.received_at for each in fakes.stored] == [0.0, 2.0]
    assert list(fakes.kept) == ["ref_1"]


def test_it_is_judged_at_the_time_of_its_arrival_and_by_its_sources_url() -> None:
    seen: list[InboundRequest] = []

    async def receive(request: InboundRequest, source: Source) -> Ending:
        seen.append(request)
        return Ending(Outcome.IGNORED)

    fakes = Fakes(acceptance=Acceptance.DONE)
    fakes.fill(b"right")
    fakes.release(receive=receive)
    assert seen == [replace(a_request(at=0.0), url="https://x/shop")]


def test_what_is_refused_again_is_not_quarantined_again() -> None:
    request, quarantining = a_request(b"wrong"), replace(SHOP, quarantine=True)
    ending = asyncio.run(releasing(Fakes().ingest).receive(request, quarantining))
    assert (ending.outcome, ending.quarantined) == (Outcome.REFUSED, False)


def test_what_is_still_refused_stays_with_its_new_reason() -> None:
    fakes = Fakes()
    fakes.fill(b"wrong")
    fakes.kept["ref_0"] = replace(fakes.kept["ref_0"], reason="missing_signature")
    (judged,) = fakes.release()
    assert (judged.outcome, judged.reason) == (Outcome.REFUSED, "signature_mismatch")
    assert fakes.kept["ref_0"].reason == "signature_mismatch"


@pytest.mark.parametrize(
    ("ending", "left"),
    [
        (Ending(Outcome.ACCEPTED), 0),
        (Ending(Outcome.DUPLICATE), 0),
        (Ending(Outcome.IGNORED), 0),
        (Ending(Outcome.HANDSHAKE), 0),
        (Ending(Outcome.REFUSED, refusal=Refusal.STALE_TIMESTAMP), 3),
        (Ending(Outcome.METHOD_NOT_ALLOWED), 3),
        (Ending(Outcome.RATE_LIMITED, retry_after=9.0), 3),
        (Ending(Outcome.UNAVAILABLE), 3),
        (Ending(Outcome.INTERNAL_ERROR), 3),
    ],
)
def test_only_what_its_sender_would_have_been_told_was_taken_leaves(ending: Ending, left: int) -> None:
    async def receive(request: InboundRequest, source: Source) -> Ending:
        return ending

    fakes = Fakes(acceptance=Acceptance.DONE)
    fakes.fill(b"right", b"right", b"right")
    fakes.release(receive=receive)
    assert len(fakes.kept) == left


def test_it_stops_at_the_first_that_could_not_be_stored_and_goes_on_when_called_again() -> None:
    fakes = Fakes(away_after=2)
    fakes.fill(*[b"right"] * 5)
    words = [each.outcome.value for each in fakes.release()]
    assert words == ["accepted", "accepted", "unavailable"]
    assert len(fakes.kept) == 3
    fakes.away_after = 1000
    assert len(fakes.release()) == 3
    assert (fakes.kept, len(fakes.stored)) == ({}, 5)


def test_when_stopped_what_was_done_is_recorded_and_the_rest_stays() -> None:
    fakes = Fakes(stop_after=3)
    fakes.fill(*[b"right"] * (PAGE + 5))
    assert len(fakes.release()) == 3
    assert len(fakes.kept) == PAGE + 2


def test_a_dry_run_judges_and_changes_nothing() -> None:
    fakes = Fakes()
    fakes.fill(b"right", b"wrong")
    before = dict(fakes.kept)
    receive = rehearsing(fakes.ingest).receive
    words = [each.outcome.value for each in fakes.release(receive=receive, dry_run=True)]
    assert words == ["accepted", "refused"]
    assert (fakes.stored, fakes.kept) == ([], before)


def test_what_was_released_by_somebody_else_meanwhile_is_passed_over() -> None:
    fakes = Fakes()
    fakes.fill(b"right", b"right")

    async def work() -> list[list[Judged]]:
        pages = Release(fakes, fakes.ingest.receive).take(SHOP, ["ref_gone", "ref_1"])
        return [page async for page in pages]

    ((judged,),) = asyncio.run(work())
    assert judged.id == "ref_1"
