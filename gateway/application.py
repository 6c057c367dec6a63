"""A checked deployment: the value that every process of it starts from."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.configuration import Config
from gateway.core.event import INTERNAL
from gateway.core.retry import RetryPolicy
from gateway.core.source import Source
from gateway.plugins import Processor
from gateway.plugins.lifespan import Lifespan
from gateway.sources import retry_policy


@dataclass(frozen=True, slots=True)
class Application:
    """Configuration and processors, both loaded without a fault."""

    config: Config
    processors: Mapping[str, Processor]

    @property
    def prefix(self) -> str:
        return self.config.settings.redis.prefix

    @property
    def queues(self) -> tuple[str, ...]:
        """What a worker serves: that of emitted events, too, where a processor takes them."""
        takes_emitted = any(each.source == INTERNAL for each in self.processors.values())
        return tuple(dict.fromkeys([*self.config.queues, *([INTERNAL] if takes_emitted else [])]))

    @property
    def lifespans(self) -> tuple[Lifespan, ...]:
        """Of all processors, each once, in the order of their declaration."""
        return tuple(dict.fromkeys(one for each in self.processors.values() for one in each.lifespans))

    def retry_of(self, source: Source | None) -> RetryPolicy:
        """A delivery may outlive its source's configuration: then the defaults hold."""
        return source.retry if source else retry_policy(self.config.settings.defaults.retry)

    def timeout_of(self, source: Source | None) -> float:
        """Seconds for one attempt where the processor itself does not say."""
        defaults = self.config.settings.defaults
        return source.attempt_timeout if source else defaults.attempt_timeout
