"""What was found in a payload, told as its type and shape: a value may be personal, or a secret."""

import re
from typing import Any, Final

# A name that a person gave. Ids and tokens stand as keys, too: those have digits inside.
NAME: Final = re.compile(r"(?=.{1,32}$)[A-Za-z]+([_-][A-Za-z]+)*[0-9]{0,2}")
MOST_KEYS: Final = 8
MOST_CHARACTERS: Final = 200


def shape(value: Any) -> str:
    """`a string of 12 characters`, `an object with keys id, amount`: never the value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case "":
            return "an empty string"
        case str() | bytes():
            return f"a string of {_counted(len(value), 'character')}"
        case list() | tuple():
            return f"an array of {_counted(len(value), 'item')}" if value else "an empty array"
        case dict():
            return _object(value)
    return f"a Python object of class {type(value).__name__}"


def place(parts: tuple[int | str, ...]) -> str:
    """`data.object.lines[0].amount`; a key that no person gave as a name is an ellipsis."""
    texts = [f"[{each}]" if isinstance(each, int) else f".{printed_key(each)}" for each in parts]
    return "".join(texts).removeprefix(".") or "body"


def shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def printed_key(key: str) -> str:
    return key if NAME.fullmatch(key) else "…"


def _object(value: dict[Any, Any]) -> str:
    keys = [key for key in value if isinstance(key, str) and NAME.fullmatch(key)][:MOST_KEYS]
    more = len(value) - len(keys)
    if not value:
        return "an empty object"
    if not keys:
        return f"an object of {_counted(more, 'key')}"
    others = f" and {more} more" if more else ""
    return f"an object with {'keys' if len(value) > 1 else 'key'} {', '.join(keys)}{others}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
