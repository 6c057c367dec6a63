"""What an epoch is to be, and what came of it: values that a line of JSON keeps."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Setting:
    """What an epoch is. `seconds`: of load and faults. `stock`: with an `rq worker` beside ours."""

    seed: int
    seconds: float
    level: str
    gateways: int = 2
    workers: int = 2
    connections: int = 8
    stock: bool = False

    @property
    def command(self) -> str:
        """What repeats it."""
        options = f"--level {self.level} --epoch-seconds {self.seconds:g} --epoch-seed {self.seed}"
        return f"scripts/chaos soak {options}"


@dataclass(slots=True)
class Outcome:
    """What was counted, which faults there were, which extra runs they led to, which rules broke."""

    setting: Setting
    figures: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    extra: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        many, faults = self.figures["events acknowledged"], self.faults.total()
        held = f"{len(self.broken)} RULES BROKEN" if self.broken else "every rule held"
        return f"seed {self.setting.seed}, {many:,} acknowledged, {faults} faults, {held}"


def as_json(outcome: Outcome) -> str:
    """One line."""
    value = {name: getattr(outcome, name) for name in ("figures", "faults", "extra", "broken")}
    return json.dumps({"setting": asdict(outcome.setting)} | value)


def from_json(text: str) -> Outcome:
    """Raises ValueError, KeyError or TypeError for what `as_json` has not made."""
    value = json.loads(text)
    counters = {name: Counter(value[name]) for name in ("figures", "faults", "extra")}
    return Outcome(Setting(**value["setting"]), **counters, broken=value["broken"])
