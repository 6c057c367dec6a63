"""The text of a new processor. It works as it is: it prints what is most telling of an event."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from gateway.cli.shared.examples import Examples
from gateway.cli.shared.layout import call, imports, subscript
from gateway.cli.shared.model_text import Telling, made_up, source_of, telling
from gateway.cli.shared.payload_models import Model, models_of, pascal
from gateway.cli.shared.shapes import shape_of

MOST_TOLD: Final = 50  # signs of the way to what is told: with it a line is WIDEST
DOCSTRING: Final = "Put your work here. It may run twice for one event: let the second run do no harm."
EVENTS: Final = re.compile(r"[ !#-&(-\[\]-~]{1,60}")  # printable ASCII without quotes and backslash
SUFFIXES: Final = {"json": ".json", "form": ".form", "other": ".txt"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `module`: how the test imports it. `inside`: Hookline's own checkout."""

    name: str
    source: str
    events: str
    module: str
    preset: str | None = None
    is_async: bool = False
    typed: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A wish, and what its examples told."""

    wish: Wish
    examples: Examples
    models: tuple[Model, ...]
    told: Telling | None

    @property
    def body_file(self) -> str:
        """The test's own body, by its suffix; empty where a sample does."""
        return "" if self.examples.origin == "sample" else SUFFIXES[self.examples.kind]

    @property
    def type(self) -> str:
        """Of one event. What a sender chose is taken only where it can stand in a Python text."""
        found = self.examples.type
        return found if EVENTS.fullmatch(found) else re.sub(r"[*?\[\]]+", "any", self.wish.events)


def draft_of(wish: Wish, examples: Examples) -> Draft:
    models = models_of(shape_of(examples.payloads), pascal(wish.events)) if examples.payloads else ()
    found = telling(models)
    short = found and len(subscript(found.keys)) + len(found.attributes[-1]) <= MOST_TOLD
    return Draft(
        wish, examples, models, found if found and short and _is_there(found, examples) else None
    )


def _is_there(found: Telling, examples: Examples) -> bool:
    """Whether a sample has more there than an empty text, which every text contains."""
    value: Any = examples.payloads[0]
    for key in found.keys:
        value = value[key]
    return bool(value) or isinstance(value, int)


def body_text(draft: Draft) -> str:
    """A body like the recorded ones, of made-up values."""
    values = made_up(draft.models) if draft.models else {}
    if draft.examples.kind == "json":
        return json.dumps(values, indent=2) + "\n"
    return f"{urlencode(values) or 'some body'}\n"


def processor_text(draft: Draft) -> str:
    wish, typed = draft.wish, draft.wish.typed
    classes = source_of(draft.models, f"The body of {wish.events}: what we use of it.") if typed else ""
    return "\n".join(
        [
            f'"""What happens on {wish.events} of {wish.source}."""\n',
            *imports(_processor_imports(draft, classes), wish.inside),
            "registry = Registry()\n\n",
            *([f"{classes}\n\n"] if typed else []),
            call("@registry.processor", f'source="{wish.source}"', f'events=["{wish.events}"]'),
            _signature(draft),
            f'    """{DOCSTRING}"""',
            *_told(draft),
            "",
        ]
    )


def _processor_imports(draft: Draft, classes: str) -> list[str]:
    pydantic = "BaseModel, Field" if "= Field(" in classes else "BaseModel"
    form = draft.examples.kind == "form" and draft.told
    return [
        *(["from typing import Any"] if re.search(r"\bAny\b", classes) else []),
        *(["from urllib.parse import parse_qsl"] if form else []),
        *([f"from pydantic import {pydantic}"] if classes else []),
        "from gateway.plugins import Event, Registry",
    ]


def size_of(draft: Draft) -> str:
    """What can be told of any event, as it stands in an f-string."""
    return "{len(payload.model_fields_set)} fields" if draft.wish.typed else "{len(event.body)} bytes"


def _signature(draft: Draft) -> str:
    wish = draft.wish
    start = f"{'async ' * wish.is_async}def {wish.name}"
    model = [f"payload: {draft.models[0].name}"] if wish.typed else []
    return call(start, "event: Event", *model, end=") -> None:")


def _told(draft: Draft) -> list[str]:
    """What it does at first: it prints."""
    told, start = draft.told, 'print(f"{event.type} {event.id}:'
    if told is None:
        return [f'    {start} {size_of(draft)}")']
    name = told.attributes[-1]
    if draft.wish.typed:
        return [f'    {start} {name} is {{payload.{".".join(told.attributes)}}}")']
    payload = (
        "dict(parse_qsl(event.body.decode()))" if draft.examples.kind == "form" else "event.payload"
    )
    path = subscript(told.keys).replace('"', "'")
    return [f"    payload = {payload}", f'    {start} {name} is {{payload{path}}}")']
