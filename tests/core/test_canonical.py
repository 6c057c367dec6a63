"""What providers sign that no template can say: by their vectors, their libraries, and their words."""

import base64
import hashlib
import hmac
import json
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from gateway.core.canonical import CANONICAL
from gateway.core.canonical.jcs import number
from gateway.core.fields import MAX_FORM_FIELDS, Fields
from gateway.core.request import Headers, InboundRequest
from gateway.core.template import Known, compile_template

FORM = (b"content-type", b"application/x-www-form-urlencoded")
JSON = (b"content-type", b"application/json")
SHOP = "https://mycompany.com/myapp.php?foo=1&bar=2"
TWILIO = ("{url}", "{canonical.url_without_port}", "{canonical.url_with_port}")
names = st.text(st.characters(min_codepoint=33, codec="utf-8"), max_size=6)
pairs_of = st.lists(st.tuples(names, names), max_size=6)


def fields(
    *headers: tuple[bytes, bytes],
    body: bytes = b"",
    url: str = "",
    query: bytes = b"",
    method: str = "POST",
) -> Fields:
    """`url` is the whole of it; its query is what arrived, unless another is given."""
    base, _, asked = url.partition("?")
    arrived = query or asked.encode()
    return Fields(
        InboundRequest(method, "/hooks/x", arrived, Headers.of(headers), body, None, 0.0, base)
    )


def canonical(name: str, of: Fields, secret: bytes | None = None) -> bytes | None:
    return CANONICAL[name](of, secret)


def rendered(text: str, of: Fields, secret: bytes | None = None) -> bytes | None:
    parts = compile_template(text).render(of, Known(secret=secret))
    return None if parts is None else b"".join(parts)


def sha1_base64(secret: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, message, "sha1")).decode()


# Any bytes


requests = st.builds(
    InboundRequest,
    method=st.sampled_from(["GET", "POST"]),
    path=st.sampled_from(["/", "/hooks/x", "/é"]),
    query=st.binary(max_size=20) | st.sampled_from([b"a=1&sig=2", b"a?b", b"bodySHA256=0"]),
    headers=st.lists(
        st.sampled_from([FORM, JSON, (b"x-plivo-signature-v3-nonce", b"1")])
        | st.tuples(
            st.sampled_from([b"gcms-signature", b"x-contentful-signed-headers"]),
            st.binary(max_size=20)
            | st.sampled_from([b"sign=a, env=\xff, t=1", b"x-contentful-timestamp"]),
        )
    ).map(Headers.of),
    body=st.binary() | st.recursive(st.text(), st.lists).map(lambda each: json.dumps(each).encode()),
    client=st.none(),
    received_at=st.just(0.0),
    url=st.sampled_from(["", "https://é.example:8/x?y", "http://[::1]", "no url"])
    | st.text(max_size=9),
)


@given(requests, st.none() | st.binary())
def test_any_request_is_answered(request: InboundRequest, secret: bytes | None) -> None:
    for name in CANONICAL:
        found = canonical(name, Fields(request), secret)
        assert found is None or isinstance(found, bytes)


@pytest.mark.parametrize("name", CANONICAL)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"auth":' * 5_000,
        b"[" + b"9" * 1_000_000 + b"]",
        b'{"a": 1e999}',
        b'["\\ud800"]',
        b"a=1&" * (MAX_FORM_FIELDS + 1),
        b"[" * 400 + b"0" + b"]" * 400,
    ],
    ids=range(7),
)
def test_absurd_bodies_are_answered(name: str, body: bytes) -> None:
    for header in (FORM, JSON):
        canonical(name, fields(header, body=body, url=SHOP), b"secret")


# Forms


def test_a_sorted_form_is_what_mandrill_signs() -> None:
    url = "http://username:password@testserver/anymail/mandrill/"
    of = fields(FORM, body=b"mandrill_events=%5B%7B%22event%22%3A+%22send%22%7D%5D", url=url)
    message = rendered("{url}{canonical.sorted_form}", of)
    assert message is not None
    assert sha1_base64(b"TEST_WEBHOOK_KEY", message) == "QUXzqdBD/L/blycKYMxJ4PJv7ek="


def test_a_form_is_sorted_by_name_and_decoded() -> None:
    of = fields(FORM, body=b"b=2+3&a=%C3%A9&B=&%61a=%FF")
    assert canonical("sorted_form", of) == b"Ba\xc3\xa9aa\xffb2 3"
    assert canonical("sorted_form", fields(FORM)) == b""
    assert canonical("sorted_form", fields()) == b""


@pytest.mark.parametrize("name", ["sorted_form", "twilio_form", "vonage_sms", "plivo_v3"])
def test_a_body_that_no_form_covers_is_refused(name: str) -> None:
    nonce = (b"x-plivo-signature-v3-nonce", b"1")
    too_many = b"&".join(b"%d=1" % count for count in range(MAX_FORM_FIELDS + 1))
    for header, body in [((b"x", b"y"), b"<a=1>"), (JSON, b"a=1"), (JSON, b"[1]"), (FORM, too_many)]:
        assert canonical(name, fields(header, nonce, body=body, url=SHOP)) is None


@pytest.mark.parametrize("name", ["sorted_form", "vonage_sms"])
def test_a_repeated_name_is_refused_where_one_value_would_be_unsigned(name: str) -> None:
    assert canonical(name, fields(FORM, body=b"a=1&a=2")) is None


# Twilio


@pytest.mark.parametrize(
    ("url", "body", "signature"),
    [
        (SHOP, "form", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:1234/myapp.php?foo=1&bar=2", "form", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "form", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (SHOP, "form", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", "form", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (
            SHOP,
            "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
        ),
        (
            SHOP + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
            '{"property": "value", "boolean": true}',
            "a9nBmqA0ju/hNViExpshrM61xv4=",
        ),
        (
            SHOP + "&bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "{}",
            "Ldidvp12m26NI7eqEvxnEpkd9Hc=",
        ),
    ],
)
def test_twilio_signs_one_of_three_urls_and_the_form(url: str, body: str, signature: str) -> None:
    call = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212"
    text = f"{call}&Caller=%2B14158675309" if body == "form" else body
    of = fields(JSON if text.startswith("{") else FORM, body=text.encode(), url=url)
    messages = [rendered(each + "{canonical.twilio_form}", of) or b"" for each in TWILIO]
    assert signature in [sha1_base64(b"12345", message) for message in messages]


class Multiple(dict[str, str]):
    """A form as Twilio's library takes it when names are repeated."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def getall(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


urls = st.builds(
    "{}://example.com{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["", ":80", ":443", ":8443"]),
    st.sampled_from(["", "/", "/a/b", "/a?x=1", "/a?x=%20&y=+"]),
)


@given(urls, pairs_of)
def test_twilios_library_and_we_agree_on_a_form(url: str, pairs: list[tuple[str, str]]) -> None:
    validator, params = RequestValidator("12345"), Multiple(pairs)
    of = fields(FORM, body=urlencode(pairs).encode(), url=url)
    ours = [rendered(each + "{canonical.twilio_form}", of) or b"" for each in TWILIO[1:]]
    assert all(validator.validate(url, params, sha1_base64(b"12345", each)) for each in ours)
    assert validator.compute_signature(url, params) in [sha1_base64(b"12345", each) for each in ours]
    changed = Multiple([*pairs, ("added", "")])
    assert not validator.validate(url, changed, sha1_base64(b"12345", ours[0]))


@given(urls, st.text(min_size=1), st.booleans())
def test_twilios_library_and_we_agree_on_a_digest(url: str, body: str, is_right: bool) -> None:
    digest = hashlib.sha256(body.encode() + b"x" * (not is_right)).hexdigest()
    signed = f"{url}{'&' if '?' in url else '?'}bodySHA256={digest}"
    of = fields(JSON, body=body.encode(), url=signed)
    validator = RequestValidator("12345")
    signature = validator.compute_signature(signed, {})
    assert validator.validate(signed, body, signature) is is_right
    assert canonical("twilio_form", of) == (b"" if is_right else None)


def test_twilios_digest_counts_only_within_the_url_that_is_signed() -> None:
    query = b"bodySHA256=" + hashlib.sha256(b"{}").hexdigest().encode()
    assert canonical("twilio_form", fields(JSON, body=b"{}", url="https://x/y", query=query)) == b""
    assert canonical("twilio_form", fields(JSON, body=b"{}", query=query)) is None
    # A public URL that is configured with a query is signed as it is.
    request = InboundRequest(
        "POST", "/", query, Headers.of([JSON]), b"{}", None, 0.0, "https://x/y?z=1"
    )
    assert canonical("twilio_form", Fields(request)) is None


# URLs


@pytest.mark.parametrize(
    ("url", "without", "with_"),
    [
        ("https://x.example/a?b:1=2", "https://x.example/a?b:1=2", "https://x.example:443/a?b:1=2"),
        ("http://x.example", "http://x.example", "http://x.example:80"),
        ("https://x:8080/", "https://x/", "https://x:8080/"),
        ("https://u:p@x:1?q", "https://u:p@x?q", "https://u:p@x:1?q"),
        ("https://u:p@x/a@b:3", "https://u:p@x/a@b:3", "https://u:p@x:443/a@b:3"),
        ("http://[::1]:8/x", "http://[::1]/x", "http://[::1]:8/x"),
    ],
)
def test_a_port_is_left_out_or_spelled_out(url: str, without: str, with_: str) -> None:
    request = InboundRequest("POST", "/", b"", Headers(), b"", None, 0.0, url)
    assert canonical("url_without_port", Fields(request)) == without.encode()
    assert canonical("url_with_port", Fields(request)) == with_.encode()


def test_hubspot_decodes_twelve_characters_once_and_no_other() -> None:
    url = "https://x.example/a?b=%3a%2F%3F%40%21%24%27%28%29%2A%2C%3B%20%26%253A"
    assert canonical("url_decoded", fields(url=url)) == b"https://x.example/a?b=:/?@!$'()*,;%20%26%253A"


@pytest.mark.parametrize("name", [each for each in CANONICAL if each.startswith("url")])
def test_a_url_that_is_not_configured_has_no_other_spelling(name: str) -> None:
    assert canonical(name, fields(query=b"a=1")) is None


# Bodies


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (b'[{"n": 1.0},{"n":2}]', b'{"n": 1.0}'),
        (b'{"n": [1]}', b'{"n": [1]}'),
        (b"[1,2", b"[1,2"),  # no JSON: the whole of it is signed, or it is refused
        (b"text", b"text"),
        (b"[]", None),
        ("[1]".encode("utf-16"), "[1]".encode("utf-16")),  # what is not read as a list is all signed
    ],
)
def test_segment_signs_the_first_of_a_batch(body: bytes, signed: bytes | None) -> None:
    assert canonical("first_item", fields(body=body)) == signed


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (b'{"a": 1}', b'{"a": 1}'),
        ('{"é": "€😀"}'.encode(), rb'{"\u00e9": "\u20ac\ud83d\ude00"}'),
        (rb'{"a": "\"\n\/"}', rb'{"a": "\\"\\n\/"}'),
        (b"\n\r\t\x7f\x00", rb"\n\r\t\u007f\u0000"),
        (b"\xff", None),
    ],
)
def test_box_signs_a_body_escaped(body: bytes, signed: bytes | None) -> None:
    assert canonical("json_escaped", fields(body=body)) == signed


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (b'{"auth":"0a1b","n":1.0}', b'{"auth":"KEY","n":1.0}'),
        (b'{"n": {"auth": "x"}, "auth" : "y" }', b'{"n": {"auth": "x"}, "auth" : "KEY" }'),
        (b'{"auth":"x","auth":"y"}', b'{"auth":"x","auth":"KEY"}'),
        (b'{"auth": 1}', None),
        (b'{"n": 1}', None),
        (b'{"auth":"x"}\x80', None),  # how an extended MD5 would look
    ],
)
def test_unisender_hashes_the_body_with_its_key_for_the_proof(
    body: bytes, signed: bytes | None
) -> None:
    assert canonical("unisender", fields(body=body), b"KEY") == signed
    assert canonical("unisender", fields(body=body), None) is None


SNS = {"Message": "m\n", "MessageId": "i", "Timestamp": "t", "TopicArn": "arn", "SubscribeURL": "u"}


@pytest.mark.parametrize(
    ("added", "signed"),
    [
        (
            {"Type": "Notification"},
            "Message|m\n|MessageId|i|Timestamp|t|TopicArn|arn|Type|Notification|",
        ),
        (
            {"Type": "Notification", "Subject": "s"},
            "Message|m\n|MessageId|i|Subject|s|Timestamp|t|TopicArn|arn|Type|Notification|",
        ),
        (
            {"Type": "SubscriptionConfirmation", "Token": "k", "Subject": "s"},
            "Message|m\n|MessageId|i|SubscribeURL|u|Timestamp|t|Token|k|TopicArn|arn"
            "|Type|SubscriptionConfirmation|",
        ),
        (
            {"Type": "UnsubscribeConfirmation", "Token": "k"},
            "Message|m\n|MessageId|i|SubscribeURL|u|Timestamp|t|Token|k|TopicArn|arn"
            "|Type|UnsubscribeConfirmation|",
        ),
        ({"Type": "SubscriptionConfirmation"}, None),
        ({"Type": "Notification", "MessageId": None}, None),
        ({"Type": "Other", "Token": "k"}, None),
        ({}, None),
    ],
)
def test_sns_signs_a_line_per_name_and_value(added: dict[str, Any], signed: str | None) -> None:
    found = canonical("sns", fields(body=json.dumps(SNS | added).encode()))
    assert found == (None if signed is None else signed.replace("|", "\n").encode())


# RFC 8785


@pytest.mark.parametrize(
    ("body", "written"),
    [
        (
            r"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001
            ],
"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null,true,false]}""",
            r"""{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"""
            r""""string":"€$\u000f\nA'B\"\\\\\"/"}""",
        ),
        (
            r'{"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7}',
            '{"\\r":2,"1":4,"\x80":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
        ),
        (' {"b": [ ], "a": { } } ', '{"a":{},"b":[]}'),
        ("[-0, 1.0, 9007199254740993]", "[0,1,9007199254740992]"),
    ],
)
def test_json_is_written_as_rfc_8785_writes_it(body: str, written: str) -> None:
    assert canonical("jcs", fields(body=body.encode())) == written.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 1}',
        b"[NaN]",
        b"[-Infinity]",
        b"[1e999]",
        b"[1" + b"0" * 400 + b"]",
        b'["\\ud800"]',
        b'{"\\udc00": 1}',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=range(12),
)
def test_what_rfc_8785_refuses_has_no_canonical_form(body: bytes) -> None:
    assert canonical("jcs", fields(body=body)) is None


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # RFC 8785, appendix B, and samples of its authors' test data
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_a_number_is_written_as_ecmascript_writes_it(bits: str, text: str) -> None:
    assert number(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(123456.789)
def test_a_number_reads_back_as_the_same(value: float) -> None:
    assert float(number(value)) == value
    assert "." not in number(value)[-1:]


# Vonage, Plivo


def test_vonage_signs_all_parameters_but_the_signature() -> None:
    expected = b"&a=x_y_z&b=1&timestamp=9"
    body = {"timestamp": "9", "b": "1", "a": "x&y=z", "sig": "s"}
    encoded = urlencode(body).encode()
    assert canonical("vonage_sms", fields(JSON, body=json.dumps(body).encode())) == expected
    assert canonical("vonage_sms", fields(FORM, body=encoded)) == expected
    assert canonical("vonage_sms", fields(query=encoded, method="GET")) == expected
    # The query proves nothing about a body.
    assert canonical("vonage_sms", fields(FORM, body=b"c=2", query=encoded)) == b"&c=2"
    assert canonical("vonage_sms", fields(JSON, body=b"c=2", query=encoded)) is None


@pytest.mark.parametrize(
    "body", [b'{"a": 1}', b'{"a": null}', b'{"a": {"b": "c"}}', b'{"a&b": "c"}', b"{}"]
)
def test_vonage_parameters_that_could_be_read_in_two_ways_are_refused(body: bytes) -> None:
    assert canonical("vonage_sms", fields(JSON, body=body)) is None


def plivo_library(method: str, url: str, params: dict[str, str], nonce: str) -> str:
    """The steps of Plivo's own library, for names and values that are ASCII and not repeated."""

    def steps() -> Iterator[str]:
        base, _, query = url.partition("?")
        asked = "&".join(sorted(query.split("&"))) if query else ""
        yield base
        if asked or params:
            yield "?" + asked
        if asked and params:
            yield "."
        yield from (name + params[name] for name in sorted(params))
        yield "." + nonce

    return "".join(steps())


@pytest.mark.parametrize("url", ["https://x.example/a", "https://x.example/a?z=1&b=2"])
@pytest.mark.parametrize("params", [{}, {"To": "+1", "From": "2", "CallUUID": "3"}])
def test_plivo_signs_the_url_the_form_and_the_nonce(url: str, params: dict[str, str]) -> None:
    nonce = (b"x-plivo-signature-v3-nonce", b"12345")
    of = fields(FORM, nonce, body=urlencode(params).encode(), url=url)
    assert canonical("plivo_v3", of) == plivo_library("POST", url, params, "12345").encode()
    got = canonical("plivo_v3", fields(FORM, nonce, body=of.request.body, url=url, method="GET"))
    assert got == (None if params else plivo_library("GET", url, {}, "12345").encode())


def test_plivo_decodes_the_query_and_sorts_repeated_values() -> None:
    nonce = (b"x-plivo-signature-v3-nonce", b"n")
    of = fields(FORM, nonce, body=b"b=2&b=1&a=%C3%A9", url="https://x.example?q=%26+x&q=%21&p")
    assert canonical("plivo_v3", of) == "https://x.example?p=&q=!&q=& x.aéb1b2.n".encode()
    assert canonical("plivo_v3", fields(FORM, body=b"a=1", url="https://x.example")) is None


# Whole requests


def contentful(
    *headers: tuple[bytes, bytes], url: str = "", listed: bytes | None = None
) -> bytes | None:
    names = sorted(name for name, _ in headers) if listed is None else [listed]
    list_of = (b"X-Contentful-Signed-Headers", b",".join([*names, b"x-contentful-signed-headers"]))
    return canonical("contentful", fields(*headers, list_of, body=b'{"a":1}', url=url))


def test_contentful_signs_method_path_headers_and_body() -> None:
    headers = [(b"x-contentful-timestamp", b"1603379941037"), (b"accept", b" text/html ")]
    signed = (
        b"accept:text/html;x-contentful-signed-headers:accept,x-contentful-signed-headers,"
        b"x-contentful-timestamp;x-contentful-timestamp:1603379941037\n"
    )
    assert contentful(*headers) == b"POST\n/hooks/x\n" + signed + b'{"a":1}'
    found = contentful(*headers, url="https://x.example:1/a%20b?q=1&w=(2)")
    assert found == b"POST\n/a%2520b?q%253D1%2526w%253D(2)\n" + signed + b'{"a":1}'
    assert contentful(*headers, url="https://x.example") == b"POST\n/\n" + signed + b'{"a":1}'


def test_contentful_leaves_nothing_unsigned() -> None:
    timestamp = (b"x-contentful-timestamp", b"1")
    assert contentful((b"accept", b"1")) is None  # the timestamp is not on the list
    assert contentful(timestamp, listed=b"x-contentful-timestamp,accept") is None  # not in the request
    assert contentful(timestamp, timestamp, listed=b"x-contentful-timestamp") is None
    assert contentful(timestamp, url="https://x.example/?a?b") is None
    assert canonical("contentful", fields(timestamp)) is None


def test_hygraph_signs_an_object_of_body_environment_and_time() -> None:
    header = (b"gcms-signature", b"sign=abc=, env=master, t=1631092481449")
    found = canonical("hygraph", fields(header, body='{"a": "<é> \\u0026"}\n'.encode()))
    assert (
        found
        == (
            r'{"Body":"{\"a\": \"\\u003cé\\u003e \\u0026\"}\n","EnvironmentName":"master",'
            '"TimeStamp":1631092481449}'
        ).encode()
    )


@pytest.mark.parametrize(
    "value",
    [b"", b"sign=a", b"sign=a, env=b, t=01", b"sign=a, env=\xff, t=1", b"sign=a, env=b, t=1, t=2"],
)
def test_hygraph_headers_of_another_shape_are_refused(value: bytes) -> None:
    assert canonical("hygraph", fields((b"gcms-signature", value))) is None


def test_fal_ai_needs_no_canonical_form() -> None:
    values = ("request-id", "user-id", "timestamp")
    headers = [(f"x-fal-webhook-{name}".encode(), name.encode()) for name in values]
    text = "\n".join(f"{{header.X-Fal-Webhook-{name}}}" for name in values) + "\n{body | sha256 | hex}"
    digest = hashlib.sha256(b"body").hexdigest()
    found = rendered(text, fields(*headers, body=b"body"))
    assert found == f"request-id\nuser-id\ntimestamp\n{digest}".encode()


def test_every_form_says_where_its_provider_describes_it() -> None:
    for name, form in CANONICAL.items():
        assert "https://" in (form.__doc__ or ""), name


@given(pairs_of)
def test_a_form_sorted_is_the_same_in_any_order(pairs: list[tuple[str, str]]) -> None:
    def body(of: list[tuple[str, str]]) -> bytes:
        return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in of).encode()

    once = list(dict(pairs).items())
    for name in ("sorted_form", "twilio_form"):
        there = canonical(name, fields(FORM, body=body(once)))
        assert there == canonical(name, fields(FORM, body=body(once[::-1])))
