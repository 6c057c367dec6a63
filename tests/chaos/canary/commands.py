"""What `hookline` prints, command by command, where its commands are forked and not started."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.chaos.rig import is_alive
from tests.chaos.sweep.zygote import Zygote
from tests.e2e.rig import Deployment, until

MOST_SHOWN: Final = 12  # of each kind, the newest
COMMANDS: Final = (
    "check",
    "sources list",
    "sources show signed",
    "sources show door",
    "events list --json",
    "dead-letters list --json",
    "refused list --json",
    "spool status",
    "spool show",
    "plugins",
    "replay --all --dry-run",
)
SHOWN: Final = {"events": "--trace --body", "dead-letters": "", "refused": "--body"}
LONGEST_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Commands:
    deployment: Deployment
    redis_url: str
    zygote: Zygote

    def all(self) -> Iterator[tuple[str, str]]:
        """Place, and what is printed."""
        for command in COMMANDS:
            yield "cli " + " ".join(command.split()[:2]), self.printed(command)
        for kind, options in SHOWN.items():
            for name in self._names(kind):
                yield f"cli {kind} show", self.printed(f"{kind} show {name} {options}")

    def printed(self, command: str) -> str:
        """stdout and stderr. Raises AssertionError when it does not end."""
        log = self.deployment.root / "printed"
        log.unlink(missing_ok=True)
        environ = self.deployment.environment(self.redis_url)
        words = self.deployment.command(*command.split())[3:]
        pid = self.zygote.fork(["hookline", *words], environ, self.deployment.root, log)
        until(lambda: not is_alive(pid), LONGEST_SECONDS, f"the end of `hookline {command}`")
        return log.read_text(errors="replace")

    def _names(self, kind: str) -> list[str]:
        try:
            rows = json.loads(self.printed(f"{kind} list --json"))
        except ValueError:
            return []
        return [str(row.get("id") or row.get("delivery")) for row in rows[:MOST_SHOWN]]
