"""What is kept of an event is what came, byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.ledger.kept import joined, pack, unpack

NAMES = st.binary(max_size=12)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=30))), st.binary(max_size=200))
def test_headers_and_body_come_back_as_they_were(
    headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    texts = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    assert unpack(pack(headers, body)) == (texts, body)


def test_line_ends_in_headers_and_body_are_no_end() -> None:
    headers, body = unpack(pack([(b"a", b"1\n2")], b"\n\n[]"))
    assert (headers, body) == ((("a", "1\n2"),), b"\n\n[]")


def test_a_body_of_the_release_before_reads_alike() -> None:
    assert joined([b'[["a","b"]]', b"body"]) == pack([(b"a", b"b")], b"body")
    assert joined([None, None]) is None
