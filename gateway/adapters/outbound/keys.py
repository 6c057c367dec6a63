"""Keys that requests name: fetched once, kept, refreshed before they age, served while away.

What is kept are documents as they were fetched, by place; the key is read out at each use, so that a
certificate which ends at noon is not taken a minute later.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from gateway.adapters.outbound.budget import Budget
from gateway.adapters.outbound.calls import Answer, Ask, Fetcher, FetchError
from gateway.core.key_request import KeyRequest
from gateway.crypto.fetched import is_answer, read_keys
from gateway.logs import LineBudget, logger
from gateway.ports import Unavailable

AHEAD: Final = 0.8  # of max_age: then a fresh one is fetched, and nobody waits for it
UNKNOWN_PAUSE: Final = 30.0  # seconds until a key that was not there is looked for again
FAILURE_PAUSE: Final = 5.0  # seconds until a place that did not answer is asked again
GONE: Final = (404, 410)
NOT_NOW: Final = (408, 425, 429)
NOT_US: Final = (401, 403)

Place = tuple[str, str, str, bytes]


@dataclass(frozen=True, slots=True)
class Document:
    """What was found at a place; `body` None: nothing. Times in Unix seconds.

    `answered` is False when the last asking failed: what we have then is old, or nothing is known.
    """

    body: bytes | None
    fetched: float
    asked: float
    answered: bool = True

    def keys(self, request: KeyRequest, now: float) -> tuple[bytes, ...]:
        if self.body is None or now > self.fetched + request.max_age + request.stale:
            return ()
        return read_keys(request, self.body, now)

    def rests(self, now: float) -> bool:
        """Whether it was asked for just now."""
        return 0 <= now - self.asked < (UNKNOWN_PAUSE if self.answered else FAILURE_PAUSE)


class Keys:
    """The keys of every source. `now` is in Unix seconds; at most `most` documents are kept."""

    def __init__(self, client: Fetcher, budget: Budget | None = None, most: int = 1000) -> None:
        self._client = client
        self._budget = budget or Budget()
        self._most = most
        self._documents: OrderedDict[Place, Document] = OrderedDict()
        self._flights: dict[Place, asyncio.Task[None]] = {}
        self._lines = LineBudget(per_second=2)

    async def keys_for(self, request: KeyRequest, now: float) -> tuple[bytes, ...]:
        """The keys that may have signed; none: the provider has no valid key of this name.

        Raises Unavailable when that is not known, because the source of keys did not answer.
        A caller may stop waiting at any time: the fetch goes on for the next one.
        """
        document = self._documents.get(request.place)
        if document:
            self._documents.move_to_end(request.place)
            keys = document.keys(request, now)
            fresh = now < document.fetched + request.max_age
            # Who has an old key of a place that does not answer need not wait for that each time.
            if keys and (fresh or not document.answered):
                if now > document.fetched + request.max_age * AHEAD:
                    self._flight(request, now)
                return keys
        flight = self._flight(request, now)
        if flight:
            await asyncio.shield(flight)
        return self._judged(request, now)

    async def aclose(self) -> None:
        """Gives up what is under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _judged(self, request: KeyRequest, now: float) -> tuple[bytes, ...]:
        document = self._documents.get(request.place)
        keys = document.keys(request, now) if document else ()
        if document and not keys and not document.answered:
            raise Unavailable(f"no key from {request.host}")
        return keys

    def _flight(self, request: KeyRequest, now: float) -> asyncio.Task[None] | None:
        """The one fetch of this place that is under way; None: it was asked just now, or too often."""
        place = request.place
        if place in self._flights:
            return self._flights[place]
        document = self._documents.get(place)
        if (document and document.rests(now)) or not self._budget.take(request.owner, now):
            return None
        flight = asyncio.create_task(self._fetch(request, now))
        self._flights[place] = flight
        flight.add_done_callback(lambda _: self._flights.pop(place, None))
        return flight

    async def _fetch(self, request: KeyRequest, now: float) -> None:
        known = self._documents.get(request.place)
        try:
            answer = await self._answer(request, now)
        except (FetchError, Unavailable) as error:
            self._log(request, str(error) if isinstance(error, FetchError) else "no_token")
            found = Document(None, now, now, answered=False)
        else:
            usable = answer.status == 200 and is_answer(request, answer.body)
            found = Document(answer.body if usable else None, now, now)
            if not usable and answer.status not in GONE and known and known.body is not None:
                self._log(request, f"no_key_in_{answer.status}")
                found = replace(found, answered=False)
        if known and not found.answered:  # an old document is better than no answer
            found = replace(known, asked=now, answered=False)
        self._keep(request.place, found)

    async def _answer(self, request: KeyRequest, now: float) -> Answer:
        headers = request.headers
        if request.token:
            tokens = await self.keys_for(request.token, now)
            if not tokens:
                raise FetchError("no_token")
            headers = (*headers, ("Authorization", f"Bearer {tokens[0].decode('latin-1')}"))
        ask = Ask(request.host, request.target, request.method, headers, request.body)
        answer = await self._client.fetch(ask)
        ours = answer.status in NOT_US and request.has_credentials
        if ours and request.token:
            self._documents.pop(request.token.place, None)
        if ours or answer.status >= 500 or answer.status in NOT_NOW:
            raise FetchError(f"status_{answer.status}")
        return answer

    def _keep(self, place: Place, document: Document) -> None:
        self._documents[place] = document
        self._documents.move_to_end(place)
        while len(self._documents) > self._most:
            self._documents.popitem(last=False)

    def _log(self, request: KeyRequest, error: str) -> None:
        if (left_out := self._lines.take()) is not None:
            extra = {"left_out": left_out} if left_out else {}
            logger().warning(
                "key.fetch_failed", source=request.owner, host=request.host, error=error, **extra
            )
