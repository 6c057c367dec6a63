"""Templates and the fields that they name."""

import pytest

from gateway.core.fields import (
    LOOKUPS,
    MAX_FORM_FIELDS,
    MISSING,
    Fields,
    dig,
    parse_form,
    parse_json,
    scalar,
)
from gateway.core.request import Headers
from gateway.core.template import (
    Known,
    Reference,
    TemplateError,
    compile_template,
    first,
)

from .examples import fields, templates

FORM = (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")


def rendered(text: str, of: Fields, ts: bytes | None = None) -> bytes | None:
    parts = compile_template(text).render(of, Known(ts))
    return None if parts is None else b"".join(parts)


def test_renders_each_kind_of_name() -> None:
    of = fields((b"X-A", b"1"), body=b'{"a": {"b": [5, "six"]}}', query=b"q=%37&r")
    assert rendered("v0:{header.x-A}:{ts}.{method}", of, b"9") == b"v0:1:9.POST"
    assert rendered("{json.a.b.0}{json.a.b.1}{query.q}{query.r}", of) == b"5six7"
    assert rendered("{body}", of) == b'{"a": {"b": [5, "six"]}}'
    form = fields(FORM, body=b'token=a%26b&payload=%7B"type":"x"%7D')
    assert rendered("{form.token}|{form_json.payload.type}", form) == b"a&b|x"


@pytest.mark.parametrize(
    "text",
    [
        "{header.x-b}",
        "{ts}",
        "{json.b}",
        "{json.a.c}",
        "{json.a}",  # an object is no text
        "{json.n}",  # null is none
        "{json.l.7}",
        "{json.l.-1}",
        "{json.l.x}",
        "{json.s.0}",
        "{query.b}",
        "{form.a}",
        "{form_json.a.b}",
        "{form_json.a}",
    ],
)
def test_a_missing_part_makes_the_whole_template_missing(text: str) -> None:
    of = fields((b"x-a", b"1"), body=b'{"a": {"b": 1}, "n": null, "l": [1], "s": "text"}')
    assert rendered("before" + text + "after", of) is None


def test_a_repeated_header_is_missing_because_readers_disagree_on_it() -> None:
    assert rendered("{header.x-a}", fields((b"x-a", b"1"), (b"X-A", b"1"))) is None


def test_a_form_is_read_when_it_says_that_it_is_one_or_says_nothing_and_begins_like_one() -> None:
    assert fields(body=b"a=1").lookup("form", "a") == b"1"
    assert fields(body=b'{"x": "&a=1"}').lookup("form", "a") is None
    assert fields((b"content-type", b"text/plain"), body=b"a=1").lookup("form", "a") is None
    assert fields(FORM, FORM, body=b"a=1").lookup("form", "a") is None


def test_form_values_are_bytes_and_the_last_of_a_repeated_one_counts() -> None:
    assert parse_form(b"a=%FF%00&b=&c&a=%e2%82%ac+x") == {"a": b"\xe2\x82\xac x", "b": b"", "c": b""}
    assert parse_form(b"%zz=%") == {"%zz": b"%"}


def test_an_absurd_number_of_form_fields_is_no_form() -> None:
    assert len(parse_form(b"&".join(b"%d=1" % number for number in range(MAX_FORM_FIELDS)))) == 1000
    assert parse_form(b"a=1&" * (MAX_FORM_FIELDS + 1)) == {}


@pytest.mark.parametrize("body", [b"", b"7", b'"text"', b"null", b"{", b"[" * 100_000, b"{\xff}"])
def test_what_holds_no_fields_is_no_json(body: bytes) -> None:
    assert parse_json(body) is MISSING
    assert dig(parse_json(body), "a") is MISSING


def test_json_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []

    def counting(body: bytes) -> object:
        calls.append(body)
        return parse_json(body)

    monkeypatch.setattr("gateway.core.fields.parse_json", counting)
    for body in (b'{"a": 1}', b"no json"):
        of = fields(body=body)
        for _ in range(3):
            of.lookup("json", "a")
    assert calls == [b'{"a": 1}', b"no json"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", b"x"),
        ("€", "€".encode()),
        ("\ud800", b"\xed\xa0\x80"),
        (True, b"true"),
        (False, b"false"),
        (0, b"0"),
        (10**40, b"1" + b"0" * 40),
        (1.5, b"1.5"),
        (float("nan"), None),
        (float("-inf"), None),
        (None, None),
        ({}, None),
        ([], None),
    ],
)
def test_writes_a_scalar_as_json_would(value: object, text: bytes | None) -> None:
    assert scalar(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{}",
        "a{b",
        "{body",
        "body}",
        "{{body}}",
        "{bodi}",
        "{header}",
        "{header.}",
        "{cookie.a}",
    ],
)
def test_refuses_a_template_that_means_nothing(text: str) -> None:
    with pytest.raises(TemplateError, match="template"):
        compile_template(text)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(TemplateError) as error:
        compile_template("{headers.x}")
    for name in ("body", "ts", "method", *LOOKUPS):
        assert name in str(error.value)


def test_header_names_are_folded_and_others_are_not() -> None:
    (reference,) = compile_template("{header.X-GitHub-Event}").references()
    assert reference == Reference("header", "x-github-event")
    assert compile_template("{json.Type}").sole == Reference("json", "Type")
    assert compile_template("a{json.Type}").sole is None
    assert compile_template("").sole is None


def test_the_first_template_that_resolves_to_something_wins() -> None:
    of = fields((b"x-empty", b""), (b"x-a", b"a"), (b"x-b", b"b"))
    texts = ("{header.x-none}", "{header.x-empty}", "{header.x-a}", "{header.x-b}")
    assert first(templates(*texts), of) == b"a"
    assert first(templates(*texts[:2]), of) is None
    assert first((), of) is None


def test_headers_keep_order_and_repeats_and_fold_names() -> None:
    headers = Headers.of([(b"B", b"1"), (b"a", b"2"), (b"b", b"3")])
    assert headers.raw == ((b"b", b"1"), (b"a", b"2"), (b"b", b"3"))
    assert headers.all(b"b") == [b"1", b"3"]
    assert headers.one(b"b") is None
    assert headers.one(b"a") == b"2"
    assert headers.with_(b"B", b"9").raw == ((b"a", b"2"), (b"b", b"9"))
