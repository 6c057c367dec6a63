"""Fetching address lists: what a server may do to us, and that the last good list outlives it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from gateway.adapters import address_lists
from gateway.adapters.address_lists import MOST_BYTES, fetch_texts, new_client, write_list
from gateway.addresses import AddressList, known_addresses
from gateway.catalogue.published import PublishedAddresses
from gateway.core.published import AddressesError

URL = "https://shop.example/ips.json"
HOOKS = PublishedAddresses(page="https://shop.example/", urls=(URL,), path=("hooks",))
GOOD = {"hooks": ["203.0.113.0/24"]}

Answer = Callable[[httpx2.Request], httpx2.Response]


def fetch(answer: Answer, published: PublishedAddresses = HOOKS) -> list[str]:
    """What comes from a server that answers so, in pieces as from a socket."""

    def streamed(request: httpx2.Request) -> httpx2.Response:
        whole = answer(request)
        if not whole.is_stream_consumed:
            return whole
        return httpx2.Response(whole.status_code, headers=whole.headers, content=iter([whole.content]))

    with new_client(httpx2.MockTransport(streamed)) as client:
        return fetch_texts(published, client)


def test_takes_the_lists_of_all_urls_together() -> None:
    other = "https://shop.example/eu.json"
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        assert request.headers["accept-encoding"] == "identity"
        return httpx2.Response(200, json={"hooks": [f"203.0.113.{len(asked)}"]})

    both = HOOKS.model_copy(update={"urls": (URL, other)})
    assert fetch(answer, both) == ["203.0.113.1", "203.0.113.2"]
    assert asked == [URL, other]


def test_reads_a_list_of_lines_without_its_comments() -> None:
    lines = HOOKS.model_copy(update={"form": "lines", "path": ()})
    text = "\ufeff# ours\r\n203.0.113.0/24\r\n\n 198.51.100.1 # old\n"
    answer: Answer = lambda _: httpx2.Response(200, content=text.encode())  # noqa: E731
    assert fetch(answer, lines) == ["203.0.113.0/24", "198.51.100.1"]


def test_follows_a_redirect_that_stays_on_the_host() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/ips.json":
            return httpx2.Response(301, headers={"location": "/v2/ips.json"})
        return httpx2.Response(200, json=GOOD)

    assert fetch(answer) == ["203.0.113.0/24"]


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/ips.json",
        "http://shop.example/ips.json",
        "https://shop.example:8443/ips.json",
        "https://shop.example@evil.example/",
        "//evil.example/",
        "file:///etc/passwd",
    ],
)
def test_follows_no_redirect_elsewhere(place: str) -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(302, headers={"location": place})

    with pytest.raises(AddressesError, match="leads elsewhere"):
        fetch(answer)
    assert asked == [URL]


def endless() -> Iterator[bytes]:
    while True:
        yield b" " * (1 << 20)


WRONG: dict[str, tuple[Answer, str]] = {
    "circle": (lambda _: httpx2.Response(307, headers={"location": URL}), "circle"),
    "status": (lambda _: httpx2.Response(503, json=GOOD), "503"),
    "not modified": (lambda _: httpx2.Response(304), "304"),
    "HTML": (lambda _: httpx2.Response(200, html="<h1>Please sign in</h1>"), "no JSON"),
    "nothing": (lambda _: httpx2.Response(200), "no JSON"),
    "no UTF-8": (lambda _: httpx2.Response(200, content=b"\xff\xfe"), "no JSON"),
    "deep": (lambda _: httpx2.Response(200, content=b"[" * 200_000), "no JSON"),
    "other form": (lambda _: httpx2.Response(200, json={"hook": []}), "another form"),
    "compressed": (
        lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, content=endless()),
        "compressed",
    ),
    "5 MiB": (lambda _: httpx2.Response(200, content=bytes(5 << 20)), "larger than 4 MiB"),
    "endless": (lambda _: httpx2.Response(200, content=endless()), "larger than 4 MiB"),
}


@pytest.mark.parametrize("name", WRONG)
def test_says_what_is_wrong_and_at_which_url(name: str) -> None:
    answer, words = WRONG[name]
    with pytest.raises(AddressesError, match=words) as error:
        fetch(answer)
    assert URL in str(error.value)


def test_says_that_the_server_cannot_be_reached() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectTimeout("timed out", request=request)

    with pytest.raises(AddressesError, match="timed out"):
        fetch(answer)


def test_gives_up_on_a_server_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 1000, 6))
    monkeypatch.setattr(address_lists, "monotonic", lambda: next(seconds))
    with pytest.raises(AddressesError, match="longer than 10 s"):
        fetch(lambda _: httpx2.Response(200, content=iter([b" "] * 5)))


def test_a_list_of_the_largest_size_is_read() -> None:
    body = json.dumps(GOOD).encode()
    padded = body + b" " * (MOST_BYTES - len(body))
    assert fetch(lambda _: httpx2.Response(200, content=padded)) == ["203.0.113.0/24"]


def test_asks_over_https_only_and_follows_nothing_by_itself() -> None:
    with new_client() as client:
        assert not client.follow_redirects
        assert client.timeout.as_dict() == dict.fromkeys(("connect", "read", "write", "pool"), 10.0)
    for url in ("http://shop.example/", "https://user:pass@shop.example/", "https://shop.example"):
        with pytest.raises(ValueError, match="urls"):
            PublishedAddresses(page="https://shop.example/", urls=(url,))


def address_list(*networks: str) -> AddressList:
    return AddressList.model_validate(
        {
            "preset": "github",
            "source_url": URL,
            "fetched": "2026-11-22",
            "trust": "vendor-list",
            "networks": networks,
        }
    )


def test_what_is_written_is_read_again_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "addresses" / "github.json"
    for networks in (("203.0.113.0/24",), ("2001:db8::/32", "192.0.2.1/32")):
        write_list(path, address_list(*networks))
        known = known_addresses("github", tmp_path)
        assert known
        assert (known.list, known.path) == (address_list(*networks), path)
    assert [each.name for each in path.parent.iterdir()] == ["github.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_last_good_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "addresses" / "github.json"
    write_list(path, address_list("203.0.113.0/24"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_list(path, address_list("198.51.100.0/24"))
    known = known_addresses("github", tmp_path)
    assert known
    assert known.list.networks == ("203.0.113.0/24",)
    assert [each.name for each in path.parent.iterdir()] == ["github.json"]
