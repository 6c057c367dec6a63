"""A checked deployment: the value that every process of it starts from."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.configuration import Config
from gateway.core.retry import RetryPolicy
from gateway.core.source import Source
from gateway.plugins import Processor
from gateway.sources import retry_policy


@dataclass(frozen=True, slots=True)
class Application:
    """Configuration and processors, both loaded without a fault."""

    config: Config
    processors: Mapping[str, Processor]

    @property
    def prefix(self) -> str:
        return self.config.settings.redis.prefix

    def retry_of(self, source: Source | None) -> RetryPolicy:
        """A delivery may outlive its source's configuration: then the defaults hold."""
        return source.retry if source else retry_policy(self.config.settings.defaults.retry)

    def timeout_of(self, source: Source | None) -> float:
        """Seconds for one attempt where the processor itself does not say."""
        defaults = self.config.settings.defaults
        return source.attempt_timeout if source else defaults.attempt_timeout
