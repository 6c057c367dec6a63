"""What is kept of an event is what came, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.ledger.kept import joined, pack, unpack

NAMES = st.binary(max_size=12) | st.text("aB-:[\n", max_size=3).map(str.encode)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=30))), st.binary(max_size=200))
def test_headers_and_body_come_back_as_they_were(
    headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    texts = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    assert unpack(pack(headers, body)) == (texts, body)


def test_what_an_http_server_lets_through_takes_no_more_than_http_does() -> None:
    assert pack([(b"Host", b"::1"), (b"X-No", b"")], b"{}") == b"Host:::1\nX-No:\n\n{}"
    assert pack([], b"{}") == b"\n\n{}"


@pytest.mark.parametrize(
    "odd", [(b"a", b"1\n2"), (b"a:b", b"c"), (b"[a", b"b"), (b"a\n", b""), (b"", b"")]
)
def test_no_odd_header_is_taken_for_the_end_or_for_another(odd: tuple[bytes, bytes]) -> None:
    for headers in ([odd], [odd, (b"a", b"b")], [(b"a", b"b"), odd]):
        texts = tuple((name.decode(), value.decode()) for name, value in headers)
        assert unpack(pack(headers, b"\n\n[]")) == (texts, b"\n\n[]")


def test_what_releases_before_kept_reads_alike() -> None:
    assert unpack(b'[["a","b"]]\nbody') == ((("a", "b"),), b"body")
    assert joined([b'[["a","b"]]', b"body"]) == b'[["a","b"]]\nbody'
    assert joined([None, None]) is None
