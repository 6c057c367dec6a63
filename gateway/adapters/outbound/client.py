"""One careful HTTP call: https to a public address, no redirects, little time, little to read.

The address is resolved first, judged, and then connected to as it is (with the host's name for TLS and
Host), so that a name which answers differently a moment later cannot lead inside.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx2

from gateway.adapters.outbound.calls import Answer, Ask, FetchError

TIMEOUT: Final = 2.0
MOST_BYTES: Final = 256 * 1024
MOST_ADDRESSES: Final = 3
# Addresses that carry an IPv4 address of their own, which could be one of ours.
TUNNELS: Final = tuple(
    ipaddress.ip_network(each) for each in ("64:ff9b::/96", "2002::/16", "2001::/32")
)

Resolve = Callable[[str], Awaitable[Sequence[str]]]


async def resolve(host: str) -> list[str]:
    """Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(text: str) -> bool:
    """Whether an address is one of the open internet: not private, loopback, link-local or reserved."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_public(str(mapped))
    in_tunnel = any(address in network for network in TUNNELS if network.version == address.version)
    return address.is_global and not address.is_multicast and not in_tunnel


class Client:
    """Bounded outbound calls. `timeout` in seconds is for a whole call, names and TLS included."""

    def __init__(
        self,
        timeout: float = TIMEOUT,
        *,
        resolve: Resolve = resolve,
        transport: httpx2.AsyncBaseTransport | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._timeout = timeout
        self._resolve = resolve
        self._most_bytes = most_bytes
        # A connection is known by its address: kept open, it would serve another host's calls.
        limits = httpx2.Limits(max_connections=20, max_keepalive_connections=0)
        self._http = httpx2.AsyncClient(
            transport=transport or httpx2.AsyncHTTPTransport(limits=limits, trust_env=False),
            timeout=timeout,
            follow_redirects=False,
            headers={"User-Agent": "hookline", "Accept-Encoding": "identity"},
            trust_env=False,
        )

    async def fetch(self, ask: Ask) -> Answer:
        """The answer, whatever its status. Raises FetchError."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._fetch(ask)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise FetchError("timeout") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that is no name
            raise FetchError("unresolved") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise FetchError("unreachable") from error

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _fetch(self, ask: Ask) -> Answer:
        addresses = list(await self._resolve(ask.host))[:MOST_ADDRESSES]
        if not addresses or not all(map(is_public, addresses)):
            raise FetchError("address_not_public")
        for address in addresses[:-1]:
            try:
                return await self._call(ask, address)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._call(ask, addresses[-1])

    async def _call(self, ask: Ask, address: str) -> Answer:
        request = self._http.build_request(
            ask.method,
            f"https://{f'[{address}]' if ':' in address else address}{ask.target}",
            headers=[("Host", ask.host), *ask.headers],
            content=ask.body or None,
            timeout=httpx2.Timeout(self._timeout, connect=self._timeout / 2),
            extensions={"sni_hostname": ask.host},
        )
        response = await self._http.send(request, stream=True)
        try:
            return Answer(response.status_code, await self._body(response))
        finally:
            await response.aclose()

    async def _body(self, response: httpx2.Response) -> bytes:
        # Packed although we asked for plain: a small answer could unpack to a huge one.
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchError("encoded")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._most_bytes:
                raise FetchError("too_large")
        return bytes(body)
