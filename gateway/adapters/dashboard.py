"""rq-dashboard 0.9 made safe: what of it may be reached, by whom, and what it may show.

By itself it asks for no password, acts on GET, unpickles what it finds in Redis and puts stored
text into its pages unescaped. Here it is a WSGI application inside another one, which lets through
a fixed list of reads, answers the Requeue buttons itself with a Hookline replay, and escapes what
comes out. Flask and rq-dashboard are an extra (`hookline[dashboard]`), imported in functions only.
"""

import base64
import hashlib
import hmac
import html
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

REPLAYS_PER_PRESS = 1000
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

# RQ's own rule for job ids. A queue's name stands unescaped inside jobs.js, so quotes stay out.
_JOB = r"[A-Za-z0-9_-]{1,200}"
_QUEUE = r"[A-Za-z0-9_.:{}@-]{1,200}"
_LIST = (
    rf"jobs/{_QUEUE}/(?:queued|scheduled|deferred|started|finished|failed|canceled)"
    r"/(?:[1-9]\d?|1\d\d|200)/(?:asc|dsc)/[1-9]\d{0,6}"  # 200: the page's own maximum
)
# Instance 0 only: rq-dashboard swaps its one connection for everybody when another is looked at.
_PAGES = re.compile(rf"/|/0/|/0/view|/0/view/(?:queues|workers|jobs|{_LIST}|job/{_JOB})")
_DATA = re.compile(rf"/0/data/(?:queues|workers|{_LIST}|(?P<job>job/{_JOB}))\.json")
_FILES = re.compile(r"/favicon\.ico|/hookline\.js|/static/(?:(?:css|js)/)?[A-Za-z0-9._-]+")
_REPLAY = re.compile(rf"/job/(?P<job>{_JOB})/requeue|/requeue/(?P<queue>{_QUEUE})")
_READS = (_PAGES, _DATA, _FILES)

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d+)?")
_INLINE_SCRIPT = re.compile(rb'<script type="text/javascript">(.*?)</script>', re.DOTALL)

# Its Compact button would only be refused here, and its Requeue buttons say nothing of the answer.
_SCRIPT = """\
$('#compact-btn').remove();
$(document).ajaxComplete(function (event, xhr, options) {
  if (options.type !== 'POST') return;
  $('#hookline-answer').text(xhr.responseJSON ? xhr.responseJSON.message : xhr.responseText);
});
"""
_TAIL = """\
<p id="hookline-answer" role="status" class="fixed-bottom alert-info m-0 px-3"></p>
<script src="{root}/hookline.js"></script>
</body>"""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # see _page
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class GuardedDashboard:
    """The WSGI application that `guarded_dashboard` makes and `serve_dashboard` serves."""

    dashboard: WSGIApplication
    connection: Redis
    replay: Callable[[str], bool]
    token: bytes | None = field(repr=False)
    allowed_hosts: frozenset[str]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        from werkzeug.wrappers import Request

        request = Request(environ)
        try:
            answer = self._refusal(request) or self._answer(request)
        except Exception as error:  # its traceback page would show what is in Redis
            answer = _failure(request, error)
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer(environ, start_response)

    def _refusal(self, request: "Request") -> "Response | None":
        """Why this request goes no further, or None."""
        host = _HOST.fullmatch(request.headers.get("Host", "").lower())
        methods = _methods(request.path)
        if host is None or host["name"] not in self.allowed_hosts:
            # Else a page whose name is rebound to our address would count as our own.
            return _line(403, "Not a host name of this dashboard: add it to the allowed hosts.")
        if not self._knows(request):
            login = {"WWW-Authenticate": 'Basic realm="Hookline", charset="UTF-8"'}
            return _line(401, "Log in with any user name and the dashboard's token.", login)
        if not methods:
            return _line(403, "Not part of this dashboard: it shows jobs and replays them.")
        if request.method not in methods:
            return _line(405, f"Only {' or '.join(methods)} here.", {"Allow": ", ".join(methods)})
        if request.method == "POST" and not _from_our_page(request):
            return _line(403, "Only a page of this dashboard, by its Origin, may ask for this.")
        return None

    def _knows(self, request: "Request") -> bool:
        if self.token is None:
            return True
        login = request.authorization
        password = (login.password or "") if login and login.type == "basic" else ""
        return hmac.compare_digest(password.encode(), self.token)

    def _answer(self, request: "Request") -> "Response":
        if asked := _REPLAY.fullmatch(request.path):
            return self._replay(asked["job"]) if asked["job"] else self._replay_all(asked["queue"])
        if request.path == "/hookline.js":
            return _text(_SCRIPT, "text/javascript")
        return self._shown(request)

    def _replay(self, job_id: str) -> "Response":
        if self.replay(job_id):
            return _json({"status": "OK", "message": f"{job_id} is replayed."})
        message = f"{job_id} is no dead letter (any more): nothing replayed. Reload the page."
        return _json({"status": "ERROR", "message": message}, 409)

    def _replay_all(self, queue: str) -> "Response":
        from rq.registry import FailedJobRegistry

        failed = FailedJobRegistry(queue, connection=self.connection)
        # No cleanup: it would drop expired entries, and we only look.
        ids = failed.get_job_ids(0, REPLAYS_PER_PRESS - 1, cleanup=False)
        count = sum(map(self.replay, ids))
        message = (
            f"{count} of {len(ids)} failed jobs of {queue} are replayed"
            f" (at most {REPLAYS_PER_PRESS} a press)."
        )
        return _json({"status": "OK", "count": count, "message": message})

    def _shown(self, request: "Request") -> "Response":
        """What rq-dashboard answers, made safe. Only body, status and type of it are kept."""
        from werkzeug.wrappers import Response

        inner = Response.from_app(self.dashboard, _plain_get(request), buffered=True)
        if inner.status_code != 200:
            return _line(404, "There is no such thing here.")
        if data := _DATA.fullmatch(request.path):
            # The templates of the lists escape these two; escaped twice they would be unreadable.
            spared = frozenset() if data["job"] else frozenset({"description", "exc_info"})
            return _json(_escaped(inner.get_json(), spared))
        if _PAGES.fullmatch(request.path):
            return _page(inner.get_data(), html.escape(request.script_root))
        return Response(inner.get_data(), content_type=inner.content_type)


def guarded_dashboard(
    redis_url: str,
    replay: Callable[[str], bool],
    *,
    token: str | None = None,
    allowed_hosts: Iterable[str] = (),
) -> GuardedDashboard:
    """rq-dashboard of the Redis at `redis_url`, reads only, as a WSGI application.

    `replay(job id)` is called for each press of Requeue; it says whether it replayed anything.
    With a `token`, every request needs it as the password of HTTP basic auth. `allowed_hosts` are
    the names (without port) in the Host header that are ours besides loopback's. Raises
    ValueError for an empty token, ImportError where the extra is not installed.
    """
    if token == "":
        raise ValueError("the dashboard's token is empty: set one, or leave it out")
    connection = _connect(redis_url)
    return GuardedDashboard(
        dashboard=_rq_dashboard(redis_url, connection),
        connection=connection,
        replay=replay,
        token=None if token is None else token.encode(),
        allowed_hosts=LOOPBACK_NAMES | {_host_name(host) for host in allowed_hosts},
    )


def serve_dashboard(app: GuardedDashboard, host: str = "127.0.0.1", port: int = 9181) -> None:
    """Serve until interrupted, in threads. `host` itself becomes an allowed host.

    Raises ValueError when `host` is not loopback and there is no token.
    """
    _server(app, host, port).serve_forever()


def _server(app: GuardedDashboard, host: str, port: int) -> Any:
    if app.token is None and not _is_loopback(host):
        raise ValueError(
            f"the dashboard would listen on {host} without a token: give it one,"
            " or bind it to 127.0.0.1"
        )
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Connection(WSGIRequestHandler):
        timeout = 30  # seconds: a silent client does not keep its thread

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Not a word: each open page asks every 2.5 seconds."""

    own = replace(app, allowed_hosts=app.allowed_hosts | {_host_name(host)})
    return make_server(host, port, own, threaded=True, request_handler=Connection)


def _rq_dashboard(redis_url: str, connection: Redis) -> WSGIApplication:
    """rq-dashboard itself: one Redis, JSON only, no deletion, no settings from the environment."""
    try:
        from flask import Flask, current_app
        from rq import Worker
        from rq.job import Job
        from rq.serializers import JSONSerializer
        from rq_dashboard import web
    except ImportError as missing:
        raise ImportError(
            f"the dashboard needs {missing.name}: pip install 'hookline[dashboard]'"
        ) from missing

    class Watched(Worker):
        def _set_connection(self, connection: Redis) -> Redis:
            return connection  # RQ would lengthen the timeout of every connection in the pool

    # The setting reaches not all of its code: where it names no serializer, RQ takes pickle.
    web.config.serializer = JSONSerializer
    web.Job = SimpleNamespace(fetch=partial(Job.fetch, serializer=JSONSerializer))
    web.Worker = SimpleNamespace(all=partial(Watched.all, serializer=JSONSerializer))
    # It connects anew for each request; ours has time limits and reads every kind of URL.
    web.from_url = lambda *_, **__: (None, current_app.redis_conn)  # type: ignore[attr-defined]

    app = Flask("rq_dashboard")
    app.url_map.redirect_defaults = False  # /0/view/queues is answered, not sent to /
    app.config.update(
        PROPAGATE_EXCEPTIONS=True,
        RQ_DASHBOARD_DISABLE_DELETE=True,
        RQ_DASHBOARD_REDIS_URL=(_without_password(redis_url),),  # only shown, see from_url
    )
    app.redis_conn = connection  # type: ignore[attr-defined]
    app.register_blueprint(web.blueprint)
    return app


def _connect(redis_url: str) -> Redis:
    # One more try: an idle connection may have died with a restarted server.
    return Redis.from_url(
        redis_url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 1)
    )


def _without_password(redis_url: str) -> str:
    parts = urlsplit(redis_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _host_name(host: str) -> str:
    """As it stands in a Host header: lower case, IPv6 in brackets."""
    return f"[{host}]".lower() if ":" in host and not host.startswith("[") else host.lower()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: where it leads is not ours to say
        return False


def _methods(path: str) -> tuple[str, ...]:
    if any(read.fullmatch(path) for read in _READS):
        return ("GET", "HEAD")
    return ("POST",) if _REPLAY.fullmatch(path) else ()


def _from_our_page(request: "Request") -> bool:
    """Browsers send the password along with another site's forms: these two headers tell."""
    host = request.headers["Host"]
    own = (f"http://{host}", f"https://{host}")
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:
        return origin in own
    # "null": what some browsers make of our own origin under Referrer-Policy: no-referrer.
    return site == "same-origin" and origin in (*own, None, "null")


def _plain_get(request: "Request") -> WSGIEnvironment:
    """The request as rq-dashboard gets it: no query, no header it could act on, GET for HEAD."""
    kept = {k: v for k, v in request.environ.items() if not k.startswith("HTTP_")}
    return {
        **kept,
        "HTTP_HOST": request.headers["Host"],
        "REQUEST_METHOD": "GET",
        "PATH_INFO": request.path,
        "QUERY_STRING": "",
    }


def _escaped(value: Any, spared: frozenset[str] = frozenset()) -> Any:
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


def _page(body: bytes, root: str) -> "Response":
    """One of its pages, under a policy as tight as it bears.

    Its inline script is allowed by hash, so none that is injected runs. Underscore compiles its
    templates (unsafe-eval), elements have style attributes, Bootstrap's icons are data: images.
    """
    digests = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(body))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    page = _text(body.decode().replace("</body>", _TAIL.format(root=root)), "text/html")
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self';"
        " style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page


def _failure(request: "Request", error: Exception) -> "Response":
    from rq.exceptions import NoSuchJobError

    if isinstance(error, NoSuchJobError):
        return _line(404, "There is no such job (any more).")
    structlog.get_logger().warning("dashboard.failed", path=request.path, error=type(error).__name__)
    if isinstance(error, RedisError):
        return _line(503, "Redis cannot be asked now: try again.")
    return _line(500, "This cannot be shown: the dashboard's log has the kind of error.")


def _line(status: int, line: str, headers: dict[str, str] | None = None) -> "Response":
    answer = _text(f"{line}\n", "text/plain", status)
    answer.headers.update(headers or {})
    return answer


def _json(value: Any, status: int = 200) -> "Response":
    from jinja2.utils import htmlsafe_json_dumps

    # Its <, > and & leave as \u003c: no browser that guesses types can take this for HTML.
    return _text(str(htmlsafe_json_dumps(value)), "application/json", status)


def _text(body: str, mimetype: str, status: int = 200) -> "Response":
    from werkzeug.wrappers import Response

    return Response(body, status, mimetype=mimetype)
