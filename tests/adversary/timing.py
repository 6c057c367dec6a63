"""`scripts/chaos timing`: whether the time of an answer tells where a signature is wrong, or which
paths are sources. Figures, and no verdict: a clock in another room sees less.
"""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from gateway.core.request import Headers, InboundRequest
from gateway.core.verification import verify
from gateway.wiring import decoy
from tests.adversary.clocks import Comparison, timed
from tests.chaos.rig import own_server
from tests.e2e.deployments import plain
from tests.e2e.rig import Gateway
from tests.e2e.wire import Pairs, hmac_hex, read_answer, request

SIZES: Final = (100, 60_000)  # bytes of a body
SECRET: Final = "timing-" + "5d0c" * 8


def of_signatures(many: int) -> Iterator[tuple[str, Comparison]]:
    """The verification itself, without a network between."""
    source = decoy(0)  # a source like others, with a key of our own
    keys = (source.scheme.load_key(SECRET.encode()),)
    body = b"x" * 100
    right = hmac_hex(SECRET, body)

    def judged(signature: str) -> Callable[[], object]:
        header = ((b"x-hub-signature-256", f"sha256={signature}".encode()),)
        asked = InboundRequest("POST", "/", b"", Headers(header), body, None, 0.0, "")
        return lambda: verify(asked, source.scheme, keys, 0.0)

    first = ("0" if right[0] != "0" else "1") + right[1:]
    last = right[:-1] + ("0" if right[-1] != "0" else "1")
    yield "noise: the same signature", timed(judged(first), judged(first), many)
    yield "first byte wrong / last byte wrong", timed(judged(first), judged(last), many)


def of_paths(many: int) -> Iterator[tuple[str, Comparison]]:
    """Over a socket, to a real gateway on this machine: a connection a request, as refusals end it."""
    with (
        own_server() as (_, url),
        TemporaryDirectory() as folder,
        Gateway(plain(Path(folder)), url) as gateway,
    ):
        for size in SIZES:
            yield from _of_paths(gateway, b"x" * size, many)


def _of_paths(gateway: Gateway, body: bytes, many: int) -> Iterator[tuple[str, Comparison]]:
    def asked(path: str, headers: Pairs) -> Callable[[], object]:
        data = request("POST", path, body, headers)

        def ask() -> None:
            with socket.create_connection(gateway.address, timeout=60) as sock:
                sock.sendall(data)
                assert read_answer(sock).status == 401

        return ask

    bare: Pairs = []
    forged = [("X-Signature", "0" * 64)]
    both = [*forged, ("X-Hub-Signature-256", "sha256=" + "0" * 64)]
    unknown, known, name = "/hooks/nobody", "/hooks/picky", f"unknown / known path, {len(body)} bytes"
    yield (
        f"noise: unknown twice, {len(body)} bytes",
        timed(asked(unknown, bare), asked(unknown, bare), many),
    )
    yield f"{name}, no signature", timed(asked(unknown, bare), asked(known, bare), many)
    yield f"{name}, a forged one", timed(asked(unknown, forged), asked(known, forged), many)
    yield f"{name}, one for each", timed(asked(unknown, both), asked(known, both), many)


@click.command()
@click.option("--many", default=20_000, show_default=True, help="Signatures of each kind.")
@click.option("--requests", default=1500, show_default=True, help="Requests of each kind.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def main(many: int, requests: int, as_json: bool) -> None:
    """Time what an adversary could time: signatures, and paths that are no source."""
    rows = [*of_signatures(many), *of_paths(requests)]
    if as_json:
        fields = ("first", "second", "difference", "t", "samples", "tells")
        found = [{"what": what} | {each: getattr(row, each) for each in fields} for what, row in rows]
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"{'µs':<56}{'first':>9}{'second':>9}{'differ by':>11}{'t':>8}  tells")
    for what, row in rows:
        click.echo(
            f"{what:<56}{row.first:>9.2f}{row.second:>9.2f}{row.difference:>11.3f}{row.t:>8.1f}"
            f"  {'yes' if row.tells else 'no'}"
        )
