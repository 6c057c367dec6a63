"""The dashboard's answers: rq-dashboard's pages and data made safe to show, and our own lines."""

import base64
import hashlib
import html
import re
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.exceptions import RedisError

from gateway.adapters.dashboard.routes import DATA, PAGES

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

_INLINE_SCRIPT: Final = re.compile(rb'<script type="text/javascript">(.*?)</script>', re.DOTALL)

# Its Compact button would only be refused here, and its Requeue buttons say nothing of the answer.
_SCRIPT: Final = """\
$('#compact-btn').remove();
$(document).ajaxComplete(function (event, xhr, options) {
  if (options.type !== 'POST') return;
  $('#hookline-answer').text(xhr.responseJSON ? xhr.responseJSON.message : xhr.responseText);
});
"""
_TAIL: Final = """\
<p id="hookline-answer" role="status" class="fixed-bottom alert-info m-0 px-3"></p>
<script src="{root}/hookline.js"></script>
</body>"""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # pages: see _page
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def protected(answer: "Response") -> "Response":
    """`answer` with the headers that every answer carries; a policy of its own stays."""
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


def shown(inner: "Response", request: "Request") -> "Response":
    """What rq-dashboard answers to a request, made safe: only body, status and type are kept."""
    from werkzeug.wrappers import Response

    if inner.status_code != 200:
        return line(404, "There is no such thing here.")
    if asked := DATA.fullmatch(request.path):
        # The templates of the lists escape these two; escaped twice they would be unreadable.
        spared = frozenset() if asked["job"] else frozenset({"description", "exc_info"})
        return as_json(_escaped(inner.get_json(), spared))
    if PAGES.fullmatch(request.path):
        return _page(inner.get_data(), html.escape(request.script_root))
    return Response(inner.get_data(), content_type=inner.content_type)


def script() -> "Response":
    """What each page loads besides its own scripts."""
    return _text(_SCRIPT, "text/javascript")


def failure(request: "Request", error: Exception) -> "Response":
    """The answer in place of one that failed, without a word of what `error` says."""
    from rq.exceptions import NoSuchJobError

    if isinstance(error, NoSuchJobError):
        return line(404, "There is no such job (any more).")
    structlog.get_logger().warning("dashboard.failed", path=request.path, error=type(error).__name__)
    if isinstance(error, RedisError):
        return line(503, "Redis cannot be asked now: try again.")
    return line(500, "This cannot be shown: the dashboard's log has the kind of error.")


def line(status: int, sentence: str, headers: dict[str, str] | None = None) -> "Response":
    """One sentence of ours."""
    answer = _text(f"{sentence}\n", "text/plain", status)
    answer.headers.update(headers or {})
    return answer


def as_json(value: Any, status: int = 200) -> "Response":
    """`value` for the scripts of a page."""
    from jinja2.utils import htmlsafe_json_dumps

    # Its <, > and & leave as \u003c: no browser that guesses types can take this for HTML.
    return _text(str(htmlsafe_json_dumps(value)), "application/json", status)


def _text(body: str, mimetype: str, status: int = 200) -> "Response":
    from werkzeug.wrappers import Response

    return Response(body, status, mimetype=mimetype)


def _page(body: bytes, root: str) -> "Response":
    """One of its pages, under a policy as tight as it bears. `root` is the prefix of our paths.

    Its inline script is allowed by hash, so none that is injected runs. Underscore compiles its
    templates (unsafe-eval), elements have style attributes, Bootstrap's icons are data: images.
    """
    digests = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(body))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    answer = _text(body.decode().replace("</body>", _TAIL.format(root=root)), "text/html")
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self';"
        " style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return answer


def _escaped(value: Any, spared: frozenset[str]) -> Any:
    """`value` with each string, keys too, safe inside HTML; `spared` keys keep their value."""
    match value:
        case str():
            return html.escape(value)
        case list():
            return [_escaped(item, spared) for item in value]
        case dict():
            return {
                html.escape(key): item if key in spared else _escaped(item, spared)
                for key, item in value.items()
            }
    return value
