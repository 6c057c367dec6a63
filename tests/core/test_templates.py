"""The language that presets describe with what is signed, named and answered."""

import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canonical import CANONICAL
from gateway.core.fields import Fields
from gateway.core.functions import FUNCTIONS
from gateway.core.template import (
    KINDS,
    PLAIN_NAMES,
    Known,
    Reference,
    TemplateError,
    compile_template,
    reference_of,
)

from .examples import BODY, URL, fields, request

FORM = (b"content-type", b"application/x-www-form-urlencoded")
EVERY_NAME = [*PLAIN_NAMES, *(f"{kind}.a" for kind in KINDS if kind != "canonical")]
EVERY_NAME += [f"canonical.{name}" for name in CANONICAL]


def rendered(text: str, of: Fields | None = None, known: Known | None = None) -> bytes | None:
    parts = compile_template(text).render(of or fields(), known or Known())
    return None if parts is None else b"".join(parts)


# Names


def test_the_url_is_the_configured_one_with_the_query_of_the_request() -> None:
    assert rendered("{url}") == rendered("{url.base}") == URL.encode()
    asked = fields(query=b"a=1&b=%20")
    assert rendered("{url}", asked) == URL.encode() + b"?a=1&b=%20"
    assert rendered("{url.base}", asked) == URL.encode()
    configured = Fields(request(url=URL + "?key=1", query=b"key=1"))
    assert rendered("{url}", configured) == URL.encode() + b"?key=1"
    assert rendered("{url.base}", configured) == URL.encode()


def test_a_url_that_is_not_configured_is_missing() -> None:
    nowhere = Fields(request(url="", query=b"a=1"))
    assert rendered("{url}", nowhere) is None
    assert rendered("{url.base}", nowhere) is None


def test_the_secret_and_the_time_are_known_or_missing() -> None:
    assert rendered("{ts}.{secret}", known=Known(b"1", b"s")) == b"1.s"
    assert rendered("{secret}") is None
    assert rendered("{ts}") is None


def test_an_item_is_looked_into_only_where_there_is_one() -> None:
    of_item = fields(body=b'[{"a": 1}]').of_item({"a": {"b": ["x"]}})
    assert rendered("{item.a.b.0}", of_item) == b"x"
    assert rendered("{json.0.a}", of_item) == b"1"
    assert rendered("{item.a.b.0}", fields(body=b'{"a": {"b": ["x"]}}')) is None


def test_a_dot_in_a_key_is_escaped_and_a_dollar_is_the_value_itself() -> None:
    of = fields(body=b'{"a.b": {"c": 1}, "$": 2}')
    assert rendered("{json.a\\.b.c}", of) == b"1"
    assert rendered("{item.$}", of.of_item("text")) == b"text"


def test_json_that_a_header_carries_in_base64_is_looked_into() -> None:
    value = base64.b64encode(b'{"signature": {"kid": "7"}}')
    of = fields((b"x-signature", value))
    assert rendered("{header_json.X-Signature.signature.kid}", of) == b"7"
    for other in (b"", b"%%", value[:-1], base64.b64encode(b"no json"), base64.b64encode(b"[1]")):
        assert (
            rendered("{header_json.x-signature.signature.kid}", fields((b"x-signature", other))) is None
        )


def test_an_option_is_missing_until_it_is_bound() -> None:
    template = compile_template("{config.id}:[{config.more}]{config.id + body | sha256 | hex}")
    assert template.render(fields()) is None
    bound = template.bind({"id": b"7", "unused": b"x"})
    digest = hashlib.sha256(b"7" + BODY).hexdigest().encode()
    assert b"".join(bound.render(fields()) or ()) == b"7:" + digest
    assert b"".join(bound.bind({"more": b"m"}).render(fields()) or ()) == b"7:m" + digest
    assert [each.kind for each in bound.references()] == ["config", "body"]
    assert template.bind({}).render(fields()) is None


def test_every_name_can_be_written() -> None:
    for name in EVERY_NAME:
        assert [*compile_template("{" + name + "}").references()] == [reference_of(name)]


# Segments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[id:{query.id};]ts", b"id:1;ts"),
        ("[id:{query.none};]ts", b"ts"),
        ("[{query.id}{query.none}]", b""),
        ("[{query.id}][{query.none}][{query.id}]", b"11"),
        ("[[{query.id}]]", b"[1]"),
        ("[a]b", b"ab"),
        ("[]", b""),
        ("[{query.none + query.id | md5}]x", b"x"),
        ("{query.none}[a]", None),
    ],
)
def test_a_segment_is_left_out_when_a_name_in_it_is_missing(text: str, expected: bytes | None) -> None:
    assert rendered(text, fields(query=b"id=1")) == expected


# Functions


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("body | sha256 | hex", hashlib.sha256(BODY).hexdigest().encode()),
        ("body | md5 | base64", base64.b64encode(hashlib.md5(BODY).digest())),
        ("body | sha384", hashlib.sha384(BODY).digest()),
        (
            "body | sha512 | base64url",
            base64.urlsafe_b64encode(hashlib.sha512(BODY).digest()).rstrip(b"="),
        ),
        ("body | crc32", str(zlib.crc32(BODY)).encode()),
        ("method | lower", b"post"),
        ("method + body | sha1 | hex", hashlib.sha1(b"POST" + BODY).hexdigest().encode()),
        ("method + header.none | sha1", None),
        ("header.none | sha1", None),
        ("body | json_string", b'"{\\"id\\": \\"evt_1\\", \\"type\\": \\"thing.happened\\"}"'),
    ],
)
def test_functions_are_applied_in_turn(expression: str, expected: bytes | None) -> None:
    assert rendered("{" + expression + "}") == expected


def test_the_digest_by_the_secret_is_that_of_who_renders() -> None:
    assert rendered("{body | sign | hex}", known=Known(sign=lambda value: value[:2])) == b"7b22"
    assert rendered("{body | sign | hex}") is None


def test_a_tokens_id_is_read_without_believing_the_token() -> None:
    payload = base64.urlsafe_b64encode(b'{"jti": "jwt_1"}').rstrip(b"=")
    of = fields((b"authorization", b"Bearer e30." + payload + b".c2ln"))
    assert rendered("{header.Authorization | jwt_id}", of) == b"jwt_1"
    for text in (b"", b"Bearer", b"a.b.c", b"..", b"e30.e30.", b"e30.W10.", b"e30.Ny4u."):
        assert rendered("{header.authorization | jwt_id}", fields((b"authorization", text))) is None


@given(st.binary(max_size=200), st.sampled_from(sorted(FUNCTIONS)))
def test_no_function_raises(value: bytes, name: str) -> None:
    result = FUNCTIONS[name](value)
    assert result is None or isinstance(result, bytes)


@given(st.text(st.characters(), max_size=30))
def test_a_json_string_is_what_javascript_would_write(text: str) -> None:
    import json

    try:
        value = text.encode()
    except UnicodeEncodeError:
        return
    written = FUNCTIONS["json_string"](value)
    assert written is not None
    assert json.loads(written) == text


# What means nothing


@pytest.mark.parametrize(
    "text",
    [
        *(
            "{body|hex}",
            "{body | }",
            "{body | rot13}",
            "{body + }",
            "{ + body}",
            "{body, ts}",
            "{ body}",
        ),
        *("[a", "a]", "[a[b]]c]", "[[[a", "{canonical.nothing}", "{canonical}", "{config}", "{item.}"),
        *("{url.path}", "{secrets}", "{body | hex | }", "{json}", "{{body}"),
    ],
)
def test_refuses_a_template_that_means_nothing(text: str) -> None:
    with pytest.raises(TemplateError, match="template"):
        compile_template(text)


@given(st.text(st.sampled_from("{}[]|+ .abodyjsnt"), max_size=25))
def test_any_text_is_compiled_and_rendered_or_refused(text: str) -> None:
    try:
        template = compile_template(text)
    except TemplateError:
        return
    parts = template.render(fields(FORM, body=b"a=1"))
    assert parts is None or all(isinstance(each, bytes) for each in parts)
    assert template.text == text


def test_header_names_are_folded_wherever_they_stand() -> None:
    names = compile_template("[{header.X-A}]{header.X-B + json.C | hex}").references()
    assert list(names) == [
        Reference("header", "x-a"),
        Reference("header", "x-b"),
        Reference("json", "C"),
    ]
