"""rq-dashboard made safe: what of it may be reached, by whom, and a Requeue that is our replay.

By itself it asks for no password, acts on GET, unpickles what it finds in Redis and puts stored
text into its pages unescaped. Here it is a WSGI application inside another one, which lets through
a fixed list of reads, answers the Requeue buttons itself, and escapes what comes out. Flask and
rq-dashboard are an extra (`hookline[dashboard]`), imported in functions only.
"""

import hmac
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from redis import Redis

from gateway.adapters.dashboard import answers, routes
from gateway.adapters.dashboard.app import ask, rq_dashboard
from gateway.adapters.ledger.redis_clients import blocking_client

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

REPLAYS_PER_PRESS: Final = 1000
REDIS_SECONDS: Final = 5.0
SILENT_CLIENT_SECONDS: Final = 30


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
            answer = answers.failure(request, error)
        return answers.protected(answer)(environ, start_response)

    def _refusal(self, request: "Request") -> "Response | None":
        """Why this request goes no further, or None."""
        methods = routes.methods(request.path)
        if routes.asked_name(request) not in self.allowed_hosts:
            # Else a page whose name is rebound to our address would count as our own.
            return answers.line(403, "Not a host name of this dashboard: add it to the allowed hosts.")
        if not self._knows(request):
            login = {"WWW-Authenticate": 'Basic realm="Hookline", charset="UTF-8"'}
            return answers.line(401, "Log in with any user name and the dashboard's token.", login)
        if not methods:
            return answers.line(403, "Not part of this dashboard: it shows jobs and replays them.")
        if request.method not in methods:
            return answers.line(
                405, f"Only {' or '.join(methods)} here.", {"Allow": ", ".join(methods)}
            )
        if request.method == "POST" and not routes.from_our_page(request):
            return answers.line(403, "Only a page of this dashboard, by its Origin, may ask for this.")
        return None

    def _knows(self, request: "Request") -> bool:
        if self.token is None:
            return True
        login = request.authorization
        password = (login.password or "") if login and login.type == "basic" else ""
        return hmac.compare_digest(password.encode(), self.token)

    def _answer(self, request: "Request") -> "Response":
        if asked := routes.REPLAY.fullmatch(request.path):
            return self._replay(asked["job"]) if asked["job"] else self._replay_all(asked["queue"])
        if request.path == "/hookline.js":
            return answers.script()
        return answers.shown(ask(self.dashboard, request), request)

    def _replay(self, job_id: str) -> "Response":
        if self.replay(job_id):
            return answers.as_json({"status": "OK", "message": f"{job_id} is replayed."})
        message = f"{job_id} is no dead letter (any more): nothing replayed. Reload the page."
        return answers.as_json({"status": "ERROR", "message": message}, 409)

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
        return answers.as_json({"status": "OK", "count": count, "message": message})


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
    connection = blocking_client(redis_url, REDIS_SECONDS)
    return GuardedDashboard(
        dashboard=rq_dashboard(redis_url, connection),
        connection=connection,
        replay=replay,
        token=None if token is None else token.encode(),
        allowed_hosts=routes.LOOPBACK_NAMES | {routes.host_name(host) for host in allowed_hosts},
    )


def serve_dashboard(app: GuardedDashboard, host: str, port: int) -> None:
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
        timeout = SILENT_CLIENT_SECONDS  # such a one does not keep its thread

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Not a word: each open page asks every 2.5 seconds."""

    own = replace(app, allowed_hosts=app.allowed_hosts | {routes.host_name(host)})
    return make_server(host, port, own, threaded=True, request_handler=Connection)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: where it leads is not ours to say
        return False
