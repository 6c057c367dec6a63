"""`run = "log"`: one structured line an event. Of a body nothing but the values that were asked for."""

from collections.abc import Callable
from typing import Any, Final

from gateway.core.builtin import Log
from gateway.core.fields import MISSING, parse_json
from gateway.core.json_path import Path
from gateway.logs import logger
from gateway.plugins import Event

MOST_CHARACTERS: Final = 200


def log_fields(work: Log) -> Callable[[Event], None]:
    """A processor that writes a line."""

    def log(event: Event) -> None:
        facts = {"fields": fields_of(event, work.fields)} if work.fields else {}
        logger().info(
            "event.logged",
            event_id=event.id,
            source=event.source,
            event_type=event.type,
            processor=event.processor,
            bytes=len(event.body),
            attempt=event.attempt,
            **facts,
        )

    return log


def fields_of(event: Event, paths: tuple[Path, ...]) -> dict[str, Any]:
    """By path as it was written: a value that can stand in a line; None where there is none."""
    payload = parse_json(event.body) if any(path.keys for path in paths) else MISSING
    return {path.text: shown(_find(path, event, payload)) for path in paths}


def _find(path: Path, event: Event, payload: Any) -> Any:
    if path.keys:
        return path.find(payload)
    return event.headers.get(path.header.decode()) if path.header else event.type


def shown(value: Any) -> Any:
    """Scalars as they are, long texts cut; of an object or a list no more than how large it is."""
    match value:
        case str() if len(value) > MOST_CHARACTERS:
            return f"{value[: MOST_CHARACTERS - 1]}…"
        case str() | bool() | int() | float():
            return value
        case dict():
            return f"object with {len(value)} key{'s' * (len(value) != 1)}"
        case list():
            return f"list of {len(value)}"
    return None
