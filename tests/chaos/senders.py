"""Senders that keep an account of what they were answered, while the gateway comes and goes."""

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

TIMEOUT_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.005
CUT_OFF: Final = 0
"""The connection was there and ended without an answer: what happened is unknown."""
REFUSED: Final = -1
"""There was no connection."""


@dataclass(slots=True)
class Account:
    """Every id that was sent, with its answers by status, or CUT_OFF or REFUSED."""

    answers: dict[str, Counter[int]] = field(default_factory=dict)

    @property
    def acknowledged(self) -> set[str]:
        return {value for value, statuses in self.answers.items() if statuses[200]}

    def count(self, status: int) -> int:
        return sum(statuses[status] for statuses in self.answers.values())


class Sender:
    """Sends one event after the other. Every second one it repeats until it is answered 200."""

    def __init__(self, name: str, port: int, path: str) -> None:
        self.account = Account()
        self._name = name
        self._port = port
        self._path = path
        self._stopping = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No new events."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """After `stop`: until everything that is repeated has been answered."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"sender {self._name} gets no answer"

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(PAUSE_SECONDS):
            number += 1
            value = f"{self._name}-{number}"
            statuses = self.account.answers[value] = Counter()
            while not statuses[200] and (number % 2 or not statuses):
                statuses[self._send(value)] += 1
        self._close()

    def _send(self, value: str) -> int:
        """The status, or what there was instead."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, TIMEOUT_SECONDS)
            self._connection.request("POST", self._path, b"{}", {"X-Event-Id": value})
            answer = self._connection.getresponse()
            answer.read()
            return answer.status
        except ConnectionRefusedError:
            self._close()
            time.sleep(PAUSE_SECONDS)
            return REFUSED
        except (OSError, http.client.HTTPException):
            self._close()
            return CUT_OFF

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None
