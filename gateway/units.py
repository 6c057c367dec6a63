"""How times, sizes, rates and networks are written: in configuration files, and where we show them."""

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ByteSize, WithJsonSchema

from gateway.core.addresses import parse_network
from gateway.core.template import TemplateError, compile_template

SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MILLISECONDS: Final = {unit: round(seconds * 1000) for unit, seconds in SECONDS.items()}
BYTES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)")
PRESET: Final = "preset"  # in allow_ips
LONGEST: Final = 36500 * SECONDS["d"]  # still a number that Redis can expire by


def parse_duration(value: Any) -> float:
    """ "30s", "5m", "1.5h", "7d" to seconds. Raises ValueError."""
    match = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            'is not a duration → write a number and a unit: "500ms", "30s", "5m", "2h", "7d"'
        )
    seconds = float(match[1]) * SECONDS[match[2]]
    if seconds > LONGEST:
        raise ValueError("is more than a hundred years → write at most 36500d")
    return seconds


def duration_text(seconds: float) -> str:
    """As a file has it: 300.0 to 5m, 90.0 to 90s, 0.5 to 500ms."""
    return _with_unit(round(seconds * 1000, 3), MILLISECONDS)


def size_text(size: float) -> str:
    """As a file has it: 26214400 bytes to 25MiB, 1500 to 1500B, 1234567 to 1.2MiB."""
    return _with_unit(size, BYTES)


def _with_unit(amount: float, units: dict[str, int]) -> str:
    """Whole where four digits are enough; else with one decimal, which tells that it is rounded."""
    fitting = [unit for unit in units if amount >= units[unit]] or list(units)[:1]
    largest = fitting[-1]
    exact = next((unit for unit in reversed(fitting) if amount % units[unit] == 0), None)
    if exact and (exact == largest or amount / units[exact] < 10_000):
        return f"{amount / units[exact]:.0f}{exact}"
    return f"{amount / units[largest]:.1f}{largest}"


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("is not more than zero → leave the key out, or write more than zero")
    return value


def check_rate(value: str) -> str:
    """The notation of the `limits` library, such as "100/minute" or "10 per 1 second": one rate."""
    from limits import parse_many

    try:
        (rate,) = parse_many(value)
    except ValueError:
        raise ValueError('is not a rate → write one, like "100/minute" or "10/second"') from None
    if rate.amount == 0:
        raise ValueError("lets nothing through → write more than zero, or remove the source")
    return value


def check_network(value: str) -> str:
    try:
        parse_network(value)
    except ValueError as error:
        mend = "write an address, or a CIDR without host bits, such as 203.0.113.0/24"
        raise ValueError(f"{error} → {mend}") from None
    return value


def check_allowed(value: str) -> str:
    """A network, or the word for those that the source's preset publishes."""
    return value if value == PRESET else check_network(value)


def check_template(value: str) -> str:
    try:
        compile_template(value)
    except TemplateError as error:
        problem, _, known = str(error).partition("; known: ")
        mend = f"known: {known}" if known else "write names in braces, such as {body}, and none else"
        raise ValueError(f"{problem} → {mend}") from None
    return value


def check_url(value: str) -> str:
    """An http(s) URL as it was given to a provider."""
    if not re.fullmatch(r"https?://[^\s/?#]+[!-~]*", value) or "#" in value:
        raise ValueError("is not a URL → write it as the provider has it: https://hooks.example.com")
    return value


_DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)$",
    "examples": ["30s", "7d"],
}

Duration = Annotated[
    float, BeforeValidator(parse_duration), AfterValidator(_positive), WithJsonSchema(_DURATION_SCHEMA)
]
Size = Annotated[ByteSize, AfterValidator(_positive)]
Rate = Annotated[str, AfterValidator(check_rate)]
NetworkText = Annotated[str, AfterValidator(check_network)]
AllowedText = Annotated[str, AfterValidator(check_allowed)]
PublicUrl = Annotated[str, AfterValidator(check_url)]
TemplateText = Annotated[str, AfterValidator(check_template)]
