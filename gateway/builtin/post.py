"""One POST to a receiver: to an address that was judged first, no redirects, little read of the answer.

As in `adapters/outbound/client.py` the name is resolved, its addresses are judged, and the one that was
judged is connected to. Connections are kept: a poster talks to one host, so they serve no other.
"""

import asyncio
import ssl
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from typing import Final

import httpx2

from gateway.adapters.outbound.client import MOST_ADDRESSES, is_public, resolve
from gateway.builtin.answers import Answer, ForwardFailed, Pairs
from gateway.core.addresses import Network
from gateway.core.builtin import Target

CONNECT_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 1.0  # for an answer's body, which nobody reads: then its connection is closed
MOST_BYTES: Final = 64 * 1024


class Poster:
    """POSTs to one target. The caller bounds the time of a whole call."""

    def __init__(self, target: Target, networks: tuple[Network, ...] = ()) -> None:
        self._target = target
        self._networks = networks
        self._http = _client()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def post(self, headers: Pairs, body: bytes) -> Answer:
        """Raises ForwardFailed when there is no answer."""
        place = self._target.place
        try:
            return await self._post(headers, body)
        except httpx2.ConnectError as error:
            # Its text tells what is wrong with a certificate, too, and never the URL.
            raise ForwardFailed(f"{place}: no connection: {error}") from None
        except httpx2.TimeoutException:
            raise ForwardFailed(f"{place}: no connection within {CONNECT_SECONDS:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise ForwardFailed(f"{place}: no answer: {type(error).__name__}") from None

    async def _post(self, headers: Pairs, body: bytes) -> Answer:
        addresses = await self._addresses()
        for address in addresses[:-1]:
            try:
                return await self._call(address, headers, body)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._call(addresses[-1], headers, body)

    async def _addresses(self) -> list[str]:
        place = self._target.place
        try:
            found = await resolve(self._target.host)
        except (OSError, UnicodeError):
            raise ForwardFailed(f"{place}: its name cannot be resolved") from None
        refused = [address for address in found if not self._is_allowed(address)]
        if refused or not found:
            raise ForwardFailed(
                f"{place} is at {', '.join(refused) or 'no address'}, which is not the open internet:"
                " if it may be, add private_networks"
            )
        return found[:MOST_ADDRESSES]

    def _is_allowed(self, text: str) -> bool:
        if is_public(text):
            return True
        try:
            address = ip_address(text)
        except ValueError:  # with a scope
            return False
        if self._target.is_loopback:
            return address.is_loopback
        return any(address in each for each in self._networks if each.version == address.version)

    async def _call(self, address: str, headers: Pairs, body: bytes) -> Answer:
        target = self._target
        at = f"[{address}]" if ":" in address else address
        request = self._http.build_request(
            "POST",
            f"{target.scheme}://{at}:{target.port}{target.path}",
            headers=[(b"Host", target.place.encode()), *headers],
            content=body,
            extensions={"sni_hostname": target.host},
        )
        response = await self._http.send(request, stream=True)
        try:
            return Answer(response.status_code, response.headers.get("retry-after", ""))
        finally:
            with suppress(TimeoutError, httpx2.HTTPError, httpx2.StreamError):
                await self._drain(response)
            await response.aclose()

    async def _drain(self, response: httpx2.Response) -> None:
        """Reads what is left of a small answer, so that its connection can be used again."""
        size = 0
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > MOST_BYTES:
                    return


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=_certificates(),
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},
        trust_env=False,
    )


@cache
def _certificates() -> ssl.SSLContext:
    """The public authorities, or those of SSL_CERT_FILE. Takes some ten milliseconds to make."""
    return httpx2.create_ssl_context()
