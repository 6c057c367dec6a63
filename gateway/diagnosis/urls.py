"""Other spellings of the public URL: for providers that sign it."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from gateway.diagnosis.case import Case, Suspicion
from gateway.diagnosis.codes import Code
from gateway.diagnosis.schemes import covers_url

HOSTS: Final = (b"x-forwarded-host", b"x-original-host", b"host")
PATHS: Final = (b"x-original-uri", b"x-original-url", b"x-forwarded-uri", b"x-rewrite-url")
LONGEST: Final = 4096
MOST_QUERIES: Final = 32


def urls(case: Case) -> Iterator[Suspicion]:
    if not covers_url(case.scheme):
        return
    if not case.request.url:
        yield from _guessed(case)
        return
    yield from _schemes(case)
    yield from _hosts(case)
    yield from _paths(case)
    yield from _queries(case)


def _guessed(case: Case) -> Iterator[Suspicion]:
    """None is configured: what the request says of itself."""
    for host in _named(case, HOSTS):
        for scheme in ("https", "http"):
            for path in (case.request.path, *(path.partition("?")[0] for path in _named(case, PATHS))):
                url = f"{scheme}://{host}{path}"
                text = f"The public URL is not known, and it is signed: {url} verifies."
                mend = f'In the source\'s file, write public_url = "{url}" (here: --url).'
                yield _with_url(case, url, Code.URL_UNKNOWN, text, mend)


def _schemes(case: Case) -> Iterator[Suspicion]:
    scheme, _, rest = case.request.url.partition("://")
    other = "http" if scheme == "https" else "https"
    mend = f"The provider has the URL with {other}://: set public_url so, or correct it there."
    yield _with_url(
        case, f"{other}://{rest}", Code.URL_SCHEME, f"{other} was signed, not {scheme}", mend
    )


def _hosts(case: Case) -> Iterator[Suspicion]:
    parts = _split(case.request.url)
    if parts is None:
        return
    default = ":443" if parts.scheme == "https" else ":80"
    bare = parts.netloc.rpartition(":")[0] if parts.netloc.rpartition(":")[2].isdecimal() else ""
    spellings = [bare] if bare else [parts.netloc + default]
    for netloc in spellings:
        text = "The URL was signed without its port" if bare else f"The URL was signed with {default}"
        yield _place(case, netloc, Code.URL_PORT, text)
    for host in _named(case, HOSTS):
        if host != parts.netloc:
            text = f"Another host was signed ({host}, not {parts.netloc})"
            yield _place(case, host, Code.URL_HOST, text)
            other = host.rpartition(":")[0] or f"{host}{default}"
            yield _place(case, other, Code.URL_HOST, f"Another host was signed ({other})")


def _place(case: Case, netloc: str, code: Code, text: str) -> Suspicion:
    parts = urlsplit(case.request.url)
    return _with_url(case, parts._replace(netloc=netloc).geturl(), code, text)


def _paths(case: Case) -> Iterator[Suspicion]:
    parts = _split(case.request.url)
    if parts is None:
        return
    path = parts.path
    slash = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    without = "without" if path.endswith("/") else "with"
    changes = [(slash, f"The URL was signed {without} the slash at its end")]
    named = [each.partition("?")[0] for each in _named(case, PATHS)]
    named += [each.rstrip("/") + path for each in _named(case, (b"x-forwarded-prefix",))]
    tails = ["/" + "/".join(path.split("/")[skipped:]) for skipped in range(2, path.count("/") + 1)]
    for other in (case.request.path, *named, *tails, unquote(path), quote(path), path.lower()):
        changes.append((other, f"Another path was signed ({other[:80]}, not {path[:80]})"))
    for other, text in changes:
        if other != path and (other.startswith("/") or not other):
            yield _with_url(case, parts._replace(path=other).geturl(), Code.URL_PATH, text)


def _queries(case: Case) -> Iterator[Suspicion]:
    base, _, own = case.request.url.partition("?")
    query = (case.request.query or own.encode()).decode("latin-1")
    if not query:
        return
    pairs = query.split("&")[:MOST_QUERIES]
    parsed = parse_qsl(query, keep_blank_values=True, max_num_fields=None)
    changes = {"": "The URL was signed without its query"}
    for at, pair in enumerate(pairs):
        rest = "&".join((*pairs[:at], *pairs[at + 1 :]))
        changes[rest] = f"The URL was signed without {pair.partition('=')[0][:40]} in its query"
    changes["&".join(sorted(pairs))] = "The query was signed with its names in order"
    changes["&".join(reversed(pairs))] = "The query was signed the other way round"
    for how in (urlencode(parsed), urlencode(parsed, quote_via=quote), unquote(query)):
        changes.setdefault(how, "The query was signed with other escapes")
    for other, text in changes.items():
        if other != query:
            changed = case.with_request(url=base, query=other.encode("latin-1", "replace"))
            yield _suspicion(changed, Code.URL_QUERY, text)


def _with_url(case: Case, url: str, code: Code, text: str, mend: str = "") -> Suspicion:
    return _suspicion(case.with_request(url=url), code, text, mend)


def _suspicion(changed: Case, code: Code, text: str, mend: str = "") -> Suspicion:
    request = changed.request
    said = request.url.partition("?")[0][:200]
    mend = mend or f'The provider has another URL: set public_url = "{said}", or correct it there.'
    if code is Code.URL_QUERY:
        mend = "Pass the query on as it came: something adds to it, sorts it or writes it anew."
    ended = text if text.endswith(".") else f"{text}: the signature matches that."
    return Suspicion(code, changed, ended, mend)


def _named(case: Case, names: tuple[bytes, ...]) -> list[str]:
    """What the request says of itself: for guesses that are verified, never to be believed."""
    values = [value for name in names if (value := case.request.headers.one(name))]
    texts = [value.decode("latin-1").strip() for value in values if len(value) < LONGEST]
    return [text for text in dict.fromkeys(texts) if text and text.isprintable()]


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
