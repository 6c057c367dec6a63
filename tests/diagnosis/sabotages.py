"""The ways in which a sound request is broken, and what is found of each: one line each."""

import base64
import gzip
from collections.abc import Callable
from dataclasses import dataclass

from gateway.diagnosis import Case, Code

from .requests import (
    FORM,
    FORM_TYPE,
    JSON,
    PLAIN,
    URL,
    added,
    adyen,
    at_url,
    basic,
    bearer,
    body,
    for_another_source,
    from_another_issuer,
    github_as,
    github_keyed,
    given,
    header,
    in_json_text,
    in_query,
    message_signature,
    moved,
    of_another_preset,
    renamed,
    signed_with,
    sound,
    square_on,
    standard_as_text,
    timed_ms,
    token,
    twilio,
    with_another_source,
    without,
    written,
)


@dataclass(frozen=True)
class Sabotage:
    name: str
    case: Callable[[], Case]
    codes: tuple[Code, ...]
    certain: bool = True


def _(name: str, case: Callable[[], Case], *codes: Code, certain: bool = True) -> Sabotage:
    return Sabotage(name, case, codes, certain)


C = Code
SIG = b"x-hub-signature-256"
SABOTAGES = [
    # The secret
    _("another secret", lambda: given(sound("github"), lambda _: b"canary-wrong-wrong-wrong"),
      C.WRONG_SECRET, certain=False),
    _("the secret of another source", lambda: with_another_source(sound("github")), C.OTHER_SECRET),
    _("a request for another source", lambda: for_another_source(sound("github")), C.OTHER_SOURCE),
    _("a line break after the secret", lambda: given(sound("stripe"), lambda old: old + b"\n"),
      C.SECRET_SPACES),
    _("quotes around the secret", lambda: given(sound("github"), lambda old: b'"%b"' % old),
      C.SECRET_QUOTED),
    _("NAME= before the secret", lambda: given(sound("github"), lambda old: b"SECRET=" + old),
      C.SECRET_PREFIX),
    _("whsec_ before the secret", lambda: given(sound("github"), lambda old: b"whsec_" + old),
      C.SECRET_PREFIX),
    _("whsec_ cut off", lambda: given(
        github_keyed(b"whsec_" + PLAIN, b"whsec_" + PLAIN), lambda old: old[6:]), C.SECRET_PREFIX),
    _("a secret in base64 once more", lambda: given(sound("slack"), base64.b64encode),
      C.SECRET_ENCODING),
    _("base64 decoded before use", lambda: github_keyed(PLAIN, base64.b64encode(PLAIN)),
      C.SECRET_ENCODING),
    _("hex decoded before use", lambda: github_keyed(PLAIN, PLAIN.hex().encode()), C.SECRET_ENCODING),
    _("text used where base64 is meant", standard_as_text, C.SECRET_ENCODING),
    _("an API key for a secret", lambda: given(sound("stripe"), lambda _: b"sk_live_canary0123456789"),
      C.SECRET_KIND, certain=False),
    _("a test's event, the live secret", lambda: given(sound("stripe", JSON.replace(b"true", b"false")),
      lambda _: b"canary-wrong-wrong-wrong"), C.TEST_MODE, certain=False),
    _("another preset's headers", of_another_preset, C.OTHER_PRESET),
    # The body
    _("spaces after commas and colons", lambda: written(sound("github"), ensure_ascii=False),
      C.BODY_WHITESPACE),
    _("indented", lambda: written(sound("shopify"), ensure_ascii=False, indent=2), C.BODY_WHITESPACE),
    _("spaces taken out", lambda: written(sound("github", b'{"a": [1.5, 2], "b": "c"}'),
      separators=(",", ":")), C.BODY_WHITESPACE),
    _("keys sorted by the sender only", lambda: body(
      sound("github", b'{"a":1,"b":2,"c":3}'), lambda _: b'{"c":3,"a":1,"b":2}'), C.BODY_KEY_ORDER),
    _("letters escaped as \\uXXXX", lambda: body(sound("github"), lambda old: old.replace(
        "é".encode(), b"\\u00e9")), C.BODY_ESCAPES),
    _("\\uXXXX turned into letters", lambda: body(sound("github", JSON.replace(
        "é".encode(), b"\\u00e9")), lambda old: old.replace(b"\\u00e9", "é".encode())), C.BODY_ESCAPES),
    _("escaped and spaced", lambda: written(sound("github")), C.BODY_ESCAPES),
    _("slashes unescaped", lambda: body(sound("github", JSON.replace(b"/", b"\\/")),
      lambda old: old.replace(b"\\/", b"/")), C.BODY_ESCAPES),
    _("1.0 written as 1", lambda: body(sound("github", b'{"a":1.0}'), lambda _: b'{"a":1}'),
      C.BODY_NUMBERS),
    _("a form turned into JSON", lambda: header(body(sound("slack", b"token=a+b&text=hi%21", FORM_TYPE),
      lambda _: b'{"token": "a b", "text": "hi!"}'), b"content-type", lambda _: b"application/json"),
      C.BODY_FORM),
    _("JSON turned into a form", lambda: header(body(sound("shopify", b'{"a":"b","c":"d"}'),
      lambda _: b"a=b&c=d"), b"content-type", lambda _: FORM_TYPE), C.BODY_FORM),
    _("a form written anew", lambda: body(sound("slack", FORM, FORM_TYPE),
      lambda old: old.replace(b"+there", b"%20there")), C.BODY_FORM),
    _("still compressed", lambda: body(sound("github"), gzip.compress), C.BODY_COMPRESSION),
    _("unpacked by a proxy", lambda: body(added(sound("github", gzip.compress(JSON, 6, mtime=0)),
      b"content-encoding", b"gzip"), gzip.decompress), C.BODY_COMPRESSION),
    _("a line break added", lambda: body(sound("stripe"), lambda old: old + b"\n"), C.BODY_NEWLINE),
    _("a line break stripped", lambda: body(sound("github", JSON + b"\r\n"), bytes.strip),
      C.BODY_NEWLINE),
    _("CR LF turned into LF", lambda: body(sound("github", b'{"a":\r\n1,\r\n"b":2}'),
      lambda old: old.replace(b"\r\n", b"\n")), C.BODY_LINE_ENDS),
    _("a byte order mark added", lambda: body(sound("github"), lambda old: b"\xef\xbb\xbf" + old),
      C.BODY_BOM),
    _("UTF-8 turned into Latin-1", lambda: body(sound("github"),
      lambda old: old.decode().encode("latin-1")), C.BODY_CHARSET),
    _("UTF-8 read as Latin-1", lambda: body(sound("github"),
      lambda old: old.decode("latin-1").encode()), C.BODY_CHARSET),
    _("the body in base64", lambda: body(sound("github"), base64.b64encode), C.BODY_WRAPPED),
    _("JSON in a JSON text", lambda: body(sound("github"), in_json_text),
      C.BODY_WRAPPED),
    _("an empty body", lambda: body(added(sound("github"), b"content-length", b"99"), lambda _: b""),
      C.BODY_EMPTY),
    _("a body cut short", lambda: body(added(sound("github"), b"content-length", b"%d" % len(JSON)),
      lambda old: old[:30]), C.BODY_CUT),
    # The signature
    _("base64 for hex", lambda: github_as("sha256=" + base64.b64encode(bytes.fromhex(
        signed_with("github", PLAIN))).decode()), C.SIGNATURE_ENCODING),
    _("SHA-512 for SHA-256", lambda: github_as("sha256=" + signed_with("github", PLAIN, "sha512")),
      C.SIGNATURE_DIGEST),
    _("no sha256= before it", lambda: header(sound("github"), SIG, lambda old: old[7:]),
      C.SIGNATURE_PREFIX),
    _("sha1= for sha256=", lambda: header(sound("github"), SIG, lambda old: b"sha1=" + old[7:]),
      C.SIGNATURE_PREFIX),
    _("only the old X-Hub-Signature", lambda: without(added(sound("github"), b"x-hub-signature",
      b"sha1=" + signed_with("github", PLAIN, "sha1").encode()), SIG), C.SIGNATURE_OLD_VERSION),
    _("Stripe's v0 only", lambda: header(sound("stripe"), b"stripe-signature",
      lambda old: old.replace(b"v1=", b"v0=")), C.SIGNATURE_OLD_VERSION),
    _("a signature cut short", lambda: header(sound("github"), SIG, lambda old: old[:50]),
      C.SIGNATURE_CUT),
    _("a newline added and another digest", lambda: body(github_as("sha256=" + signed_with(
        "github", PLAIN, "sha512")), lambda old: old + b"\n"), C.BODY_NEWLINE, C.SIGNATURE_DIGEST),
    # Headers
    _("no signature", lambda: without(sound("github"), SIG), C.SIGNATURE_MISSING),
    _("two copies, one of another request", lambda: added(sound("github"), SIG, b"sha256=" + b"0" * 64),
      C.SIGNATURE_DUPLICATED),
    _("two copies in one line", lambda: header(sound("shopify"), b"x-shopify-hmac-sha256",
      lambda old: old + b", " + old), C.SIGNATURE_DUPLICATED),
    _("_ for -", lambda: renamed(sound("github"), (SIG, b"x_hub_signature_256")), C.HEADER_RENAMED),
    _("as CGI names it", lambda: renamed(sound("slack"),
      (b"x-slack-signature", b"http_x_slack_signature"),
      (b"x-slack-request-timestamp", b"http_x_slack_request_timestamp")), C.HEADER_RENAMED),
    _("X-Forwarded- before it", lambda: renamed(sound("stripe"),
      (b"stripe-signature", b"x-forwarded-stripe-signature")), C.HEADER_RENAMED),
    _("under any other name", lambda: renamed(sound("github"), (SIG, b"x-proof")), C.HEADER_RENAMED),
    _("quotes around a value", lambda: header(sound("shopify"), b"x-shopify-hmac-sha256",
      lambda old: b'"%b"' % old), C.HEADER_CHANGED),
    _("a signed header dropped", lambda: without(sound("standard-webhooks"), b"webhook-id"),
      C.PART_MISSING),
    # The URL
    _("http for https", lambda: at_url(twilio(), URL.replace("https", "http")), C.URL_SCHEME),
    _("another host", lambda: at_url(sound("square"), "https://gateway.internal/hooks/x"), C.URL_HOST),
    _("a port", lambda: at_url(square_on(URL.replace(".com", ".com:443")), URL), C.URL_PORT),
    _("a path's beginning cut off", lambda: at_url(sound("square"),
      "https://hooks.example.com/api/hooks/x"), C.URL_PATH),
    _("a slash at the end", lambda: at_url(sound("square"), URL + "/"), C.URL_PATH),
    _("a query added", lambda: twilio().with_request(query=b"utm=1"), C.URL_QUERY),
    _("no public URL known", lambda: at_url(sound("square"), ""), C.URL_UNKNOWN),
    # Time
    _("an hour later", lambda: moved(sound("slack"), 3600), C.STALE),
    _("a clock ten minutes behind", lambda: moved(sound("stripe"), -600), C.CLOCK_BEHIND),
    _("milliseconds for seconds", timed_ms, C.TIME_UNIT),
    _("no time", lambda: without(sound("slack"), b"x-slack-request-timestamp"), C.TIME_MISSING),
    _("a newline added, an hour later", lambda: moved(body(sound("slack"),
      lambda old: old + b"\n"), 3600), C.BODY_NEWLINE, C.STALE),
    # Tokens
    _("another token", lambda: given(sound("gitlab"), lambda _: b"canary-wrong-wrong-wrong"),
      C.WRONG_SECRET, certain=False),
    _("no Bearer", lambda: bearer(PLAIN), C.TOKEN_PREFIX),
    _("Bearer where none is meant", lambda: header(sound("gitlab"), b"x-gitlab-token",
      lambda old: b"Bearer " + old), C.TOKEN_PREFIX),
    _("the token in the query", lambda: in_query(b"token"), C.TOKEN_PLACE),
    _("user and password swapped", lambda: basic(b"hook:" + PLAIN, PLAIN + b":hook"), C.TOKEN_SWAPPED),
    _("no known way to read the secret", lambda: given(sound("standard-webhooks"),
      lambda _: b"whsec_!!"), C.SECRET_UNUSABLE),
    _("a signature that is none", lambda: github_as("sha256=zz"), C.SIGNATURE_MALFORMED),
    _("a URL over http, of RFC 9421", lambda: at_url(message_signature(), URL.replace("https", "http")),
      C.URL_SCHEME),
    _("a body changed, of RFC 9421", lambda: body(message_signature(), lambda old: old + b"\n"),
      C.BODY_NEWLINE),
    _("a JWT of another algorithm", lambda: token("HS512"), C.TOKEN_ALGORITHM),
    _("a JWT of another issuer", from_another_issuer, C.TOKEN_CLAIM),
    _("a JWT that has ended", lambda: moved(token(), 7200), C.STALE),
    _("a JWT whose body was indented", lambda: written(token(), indent=2, ensure_ascii=False),
      C.BODY_WHITESPACE),
    _("an Adyen item with whitespace in the key", lambda: given(adyen(), lambda old: old + b" "),
      C.SECRET_SPACES),
]  # fmt: skip


def documented() -> list[str]:
    """The rows of the table in docs/operations.md: every finding with the sabotages that it is of."""
    rows = []
    for code in Code:
        of_it = [each for each in SABOTAGES if each.codes[0] == code]
        names = "; ".join(each.name.replace("|", "\\|") for each in of_it) or "a source without proof"
        sure = "proven" if all(each.certain for each in of_it) else "likely"
        rows.append(f"| `{code}` | {names} | {sure} |")
    return rows
