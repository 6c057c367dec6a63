"""Senders that keep an account of every answer: two that come again, one that never does."""

import http.client
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SOURCES: Final = ("shop", "shop", "kept")
"""One sender each. `kept` has a spool, and what it is not answered 200 it never sends again."""
PAUSE_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 5.0
NO_ANSWER: Final = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """`at`: when it came, by the monotonic clock."""

    source: str
    value: str
    status: int
    seconds: float
    at: float


class Street:
    """Sends to a gateway from now on. `tag` begins the id of every event."""

    def __init__(self, port: int, tag: str) -> None:
        self.answers: list[Answer] = []
        self._port = port
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_all, args=(source, f"{tag}-{number}"), daemon=True)
            for number, source in enumerate(SOURCES)
        ]
        for thread in self._threads:
            thread.start()

    def since(self, at: float) -> list[Answer]:
        return [each for each in list(self.answers) if each.at >= at]

    def stop(self, seconds: float) -> bool:
        """No new events. Whether all that is sent again was answered 200 in time."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _send_all(self, source: str, name: str) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            while self._send(source, f"{name}-{number}") != 200 and source == "shop":
                time.sleep(PAUSE_SECONDS)
            time.sleep(PAUSE_SECONDS)

    def _send(self, source: str, value: str) -> int:
        began = time.monotonic()
        status = NO_ANSWER
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", f"/hooks/{source}", b"{}", {"X-Event-Id": value})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        now = time.monotonic()
        self.answers.append(Answer(source, value, status, now - began, now))
        return status


def acknowledged(answers: Iterable[Answer]) -> set[str]:
    return {each.value for each in answers if each.status == 200}
