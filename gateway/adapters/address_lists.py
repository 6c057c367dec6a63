"""Address lists from the net, and to the disk: for `hookline addresses refresh`, never for a gateway.

Only https, only from the host that the preset names, only so much and only so long. What is wrong
with what came is for `core/published.py` to say.
"""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from gateway.addresses import AddressList
from gateway.catalogue.published import PublishedAddresses
from gateway.core.published import AddressesError, texts_at

TIMEOUT: Final = 10.0  # seconds, for connecting, for a piece of the answer, and for all of it
MOST_BYTES: Final = 4 << 20
MOST_REDIRECTS: Final = 3


def new_client(transport: httpx2.BaseTransport | None = None) -> httpx2.Client:
    # Nothing compressed: a small answer could then become a huge one.
    headers = {"accept-encoding": "identity", "user-agent": "hookline"}
    return httpx2.Client(timeout=TIMEOUT, follow_redirects=False, headers=headers, transport=transport)


def fetch_texts(published: PublishedAddresses, client: httpx2.Client) -> list[str]:
    """What all lists of a provider say, as they say it. Raises AddressesError, with the URL."""
    found: list[str] = []
    for url in published.urls:
        try:
            found += _texts_of(_fetch(url, client), published)
        except AddressesError as error:
            raise AddressesError(f"{url}: {error.problem}", error.mend) from None
        except httpx2.HTTPError as error:
            raise AddressesError(f"{url}: {error or type(error).__name__}") from None
    return found


def _texts_of(body: bytes, published: PublishedAddresses) -> list[str]:
    try:
        text = body.decode("utf-8-sig")
        data: Any = None if published.form == "lines" else json.loads(text)
    except (ValueError, RecursionError):
        raise AddressesError(f"the answer is no {_form(published)}") from None
    if published.form == "json":
        return texts_at(data, published.path, published.where)
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _form(published: PublishedAddresses) -> str:
    return "JSON" if published.form == "json" else "text in UTF-8"


def _fetch(url: str, client: httpx2.Client) -> bytes:
    """The body, after redirects that stay on the host."""
    deadline = monotonic() + TIMEOUT
    place = url
    for _ in range(MOST_REDIRECTS + 1):
        with client.stream("GET", place) as answer:
            if not answer.has_redirect_location:
                return _body(answer, deadline)
            place = str(answer.url.join(answer.headers["location"]))
        if urlsplit(place)[:2] != urlsplit(url)[:2]:  # scheme and host
            raise AddressesError(f"leads elsewhere, to {place[:100]}")
    raise AddressesError("leads in a circle")


def _body(answer: httpx2.Response, deadline: float) -> bytes:
    if answer.status_code != 200:
        raise AddressesError(f"answered {answer.status_code}")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise AddressesError("answered compressed, which was not asked for")
    body = bytearray()
    for piece in answer.iter_raw():
        body += piece
        if len(body) > MOST_BYTES:
            raise AddressesError(f"is larger than {MOST_BYTES >> 20} MiB")
        if monotonic() > deadline:
            raise AddressesError(f"took longer than {TIMEOUT:.0f} s")
    return bytes(body)


def write_list(path: Path, found: AddressList) -> None:
    """All of it or nothing, whenever the machine stops: the last good list is never half gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)  # a gateway of another user reads it
            file.write(found.model_dump_json(indent=2, exclude_defaults=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too
    finally:
        os.close(folder)
