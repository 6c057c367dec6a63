"""Fields of a multipart body, as browsers and mail providers send it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.multipart import parse_multipart

from .examples import fields

KIND = b"multipart/form-data; boundary=xYzZY"
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"'), min_size=1)


def body_of(*parts: tuple[str, bytes], boundary: bytes = b"xYzZY") -> bytes:
    written = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (boundary, name.encode(), value)
        for name, value in parts
    ]
    return b"".join(written) + b"--" + boundary + b"--\r\n"


def parsed(body: bytes, kind: bytes = KIND, most: int = 10) -> dict[str, bytes]:
    return parse_multipart(body, kind, most)


def test_reads_each_field_by_its_name_byte_for_byte() -> None:
    body = body_of(("timestamp", b"1"), ("token", b"a\r\nb\x00\xff"), ("empty", b""))
    assert parsed(body) == {"timestamp": b"1", "token": b"a\r\nb\x00\xff", "empty": b""}


def test_of_a_repeated_field_the_last_counts() -> None:
    assert parsed(body_of(("a", b"1"), ("a", b"2"))) == {"a": b"2"}


def test_a_file_is_a_field_like_any_other() -> None:
    head = b"--xYzZY\r\nContent-Type: text/plain\r\ncontent-disposition: FORM-data; "
    head += b'filename="f"; name="up"'
    assert parsed(head + b"\r\n\r\ncontent\r\n--xYzZY--") == {"up": b"content"}


def test_what_stands_before_the_first_boundary_is_passed_over() -> None:
    assert parsed(b"preamble\r\n" + body_of(("a", b"1"))) == {"a": b"1"}


@pytest.mark.parametrize(
    "kind",
    [
        b'multipart/form-data; boundary="xYzZY"',
        b"Multipart/Form-Data; charset=utf-8; BOUNDARY=xYzZY",
        b"multipart/form-data;boundary=xYzZY; charset=utf-8",
    ],
)
def test_a_boundary_is_found_however_it_is_written(kind: bytes) -> None:
    assert parsed(body_of(("a", b"1")), kind) == {"a": b"1"}


@pytest.mark.parametrize(
    "kind",
    [
        b"",
        b"application/json",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/mixed; boundary=xYzZY",
        b"multipart/form-data; boundary=other",
        b"multipart/form-data; boundary=" + b"x" * 71,
        b"multipart/form-data;" + b" " * 400 + b"boundary=xYzZY",
    ],
)
def test_a_body_of_another_kind_has_no_fields(kind: bytes) -> None:
    assert parsed(body_of(("a", b"1")), kind) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xYzZY--",
        body_of(("a", b"1"))[:-6],
        b"--xYzZY\r\n\r\nno name\r\n--xYzZY--",
        b'--xYzZY\r\nContent-Disposition: form-data; name="a"\r\nno blank line\r\n--xYzZY--',
        b'--xYzZY\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--xYzZY--',
    ],
)
def test_a_body_that_is_cut_or_names_nothing_has_no_fields(body: bytes) -> None:
    assert parsed(body) == {}


def test_an_absurd_number_of_fields_is_no_form() -> None:
    many = [(str(number), b"") for number in range(11)]
    assert len(parsed(body_of(*many[:10]))) == 10
    assert parsed(body_of(*many)) == {}


@given(st.lists(st.tuples(NAMES, st.binary(max_size=30)), max_size=5))
def test_reads_whatever_was_written(parts: list[tuple[str, bytes]]) -> None:
    clean = [(name[:60], value) for name, value in parts if b"xYzZY" not in value]
    assert parsed(body_of(*clean)) == dict(clean)


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_any_bytes_are_read_or_not(body: bytes, kind: bytes) -> None:
    for content_type in (kind, KIND, b"multipart/form-data; boundary=" + kind):
        for name, value in parsed(body, content_type).items():
            assert isinstance(name, str)
            assert isinstance(value, bytes)
    parsed(b"--xYzZY\r\n" + body + b"\r\n--xYzZY--")


def test_a_form_template_reads_it() -> None:
    of = fields((b"content-type", KIND), body=body_of(("json", b'{"event": {"type": "x"}}')))
    assert of.lookup("form_json", "json.event.type") == b"x"
    assert of.lookup("form", "json") == b'{"event": {"type": "x"}}'
