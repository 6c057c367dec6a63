"""Turns with the server: it is asked one question at a time, while its last reply is worked on.

A question may fail, and so may its reply: what it was to bring is not lost by that, nor run twice.
"""

from redis.exceptions import RedisError

from gateway.adapters.ledger.calls import NotClaimed
from gateway.adapters.worker.bell import Bell
from gateway.adapters.worker.intake import Intake
from gateway.adapters.worker.leases import Ending, Leases
from gateway.core.delivery import Claimed


class Turns:
    """Of one worker: `intake` says what for, `leases` asks. Every method raises redis.RedisError."""

    def __init__(self, intake: Intake, leases: Leases) -> None:
        self._intake = intake
        self._leases = leases
        self._answered: list[Bell] = []  # by what the server was asked for last
        self.in_doubt = False
        """Whether a call has failed. It may have leased what we have not heard of: ask no more before
        `recover`."""

    def ask(self, *, accepting: bool) -> None:
        """To record what ended, and where we are `accepting`, for what there is room for."""
        shares, self._answered = self._intake.choose(self._leases.running()) if accepting else ({}, [])
        try:
            self._intake.ring_again()
            self._leases.ask(shares, self._answered)
        except RedisError:
            self._intake.bells += self._answered
            raise

    def hear(self) -> tuple[list[Ending], list[Claimed | NotClaimed]]:
        """What is recorded now, and what was leased, or could not be. Nothing, unless we asked."""
        try:
            return self._leases.hear()
        except RedisError:
            self._intake.bells += self._answered
            raise

    def hear_the_last(self) -> list[Ending]:
        """Of a call under way. Where its reply is lost, the next one records what it was to record, and
        what it may have leased is given back: for that nothing is to run again."""
        try:
            return self.hear()[0]
        except RedisError:
            self._leases.recover(self._intake.queues())
            return []

    def recover(self) -> None:
        """Ends the doubt, once no call is under way: what that leases is not unheard of."""
        if not self._leases.under_way:
            self._leases.recover(self._intake.queues())
            self.in_doubt = False
