"""How many fetches a source may cause: forged requests must not make us a source of traffic."""


class Budget:
    """A token bucket for each owner; owners come from the configuration, so they are few."""

    def __init__(self, per_minute: float = 10.0, burst: float = 20.0) -> None:
        self._per_second = per_minute / 60
        self._burst = burst
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, owner: str, now: float) -> bool:
        """Whether there was one more, at `now` in seconds; it is used up."""
        left, since = self._left.get(owner, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - since) * self._per_second)
        allowed = left >= 1
        self._left[owner] = (left - allowed, now)
        return allowed
