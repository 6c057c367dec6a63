"""Whether a list of addresses that came over the net can be believed.

Whoever could change it decides who may call us, so: public networks only, none of them wide, and
never most of what was known gone at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.core.addresses import Network, parse_network

MOST_NETWORKS: Final = 10_000  # each is compared with each caller
WIDEST: Final = {4: 8, 6: 16}  # the shortest prefix that can still be one provider's
PUBLIC_V6: Final = parse_network("2000::/3")
NOT_PUBLIC_V4: Final = tuple(
    parse_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
    )
)


class AddressesError(ValueError):
    """There is no list, or none that can be believed: `problem` and `mend` as in a fault."""

    def __init__(self, problem: str, mend: str = "") -> None:
        self.problem = problem
        self.mend = mend
        super().__init__(f"{problem} → {mend}" if mend else problem)


def texts_at(data: Any, path: Sequence[str], where: Mapping[str, str]) -> list[str]:
    """The texts at `path` in JSON; "*" is each element, of objects those that say all of `where`.

    Raises AddressesError where the JSON has another form: half a list would keep out the other half.
    """
    match data:
        case dict() | list() if path and path[0] == "*":
            elements = data.values() if isinstance(data, dict) else data
            chosen = [each for each in elements if _says(each, where)]
            return [text for each in chosen for text in texts_at(each, path[1:], where)]
        case dict() if path and path[0] in data:
            return texts_at(data[path[0]], path[1:], where)
        case list() if not path and all(isinstance(each, str) for each in data):
            return data
        case str() if not path:
            return [data]
    place = repr(".".join(path)) if path else "no text at the end of the path"
    raise AddressesError(f"the list has another form than the preset says: {place}")


def _says(element: Any, where: Mapping[str, str]) -> bool:
    if not isinstance(element, dict):
        return True
    return all(
        value == element.get(key) or _has(element.get(key), value) for key, value in where.items()
    )


def _has(found: Any, value: str) -> bool:
    return isinstance(found, list) and value in found


def checked(texts: Iterable[str], before: Sequence[Network], *, force: bool) -> tuple[Network, ...]:
    """The networks, sorted and each once. Raises AddressesError for a list not to be believed.

    `force` lets it lose most of `before`, and nothing else.
    """
    networks = {_sound(text) for text in texts}
    if not networks:
        raise AddressesError("the list is empty")
    if len(networks) > MOST_NETWORKS:
        raise AddressesError(f"the list has more than {MOST_NETWORKS} networks")
    gone = [each for each in before if not is_covered(each, networks)]
    if len(gone) * 2 > len(before) and not force:
        problem = f"{len(gone)} of {len(before)} known networks would be gone"
        raise AddressesError(problem, "see which with --dry-run; if that is right, add --force")
    return tuple(sorted(networks, key=lambda each: (each.version, each)))


def _sound(text: str) -> Network:
    try:
        network = parse_network(text)
    except ValueError:
        raise AddressesError(f"{text[:60]!r} is no network") from None
    if network.prefixlen < WIDEST[network.version]:
        raise AddressesError(f"{network} is wider than one provider's can be")
    if not _is_public(network):
        raise AddressesError(f"{network} is not of the public net")
    return network


def _is_public(network: Network) -> bool:
    if network.version == 6:
        return is_covered(network, (PUBLIC_V6,))
    return not any(network.overlaps(each) for each in NOT_PUBLIC_V4)


def is_covered(network: Network, others: Iterable[Network]) -> bool:
    """Whether one of the others has all of it."""
    return any(
        network.version == other.version
        and network.prefixlen >= other.prefixlen
        and network.network_address in other
        for other in others
    )
