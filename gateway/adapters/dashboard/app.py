"""rq-dashboard 0.9 itself: how it is set up, and how it is asked.

It lets everybody do everything: `dashboard.py` stands before it.
"""

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication, WSGIEnvironment

from redis import Redis

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response


def rq_dashboard(redis_url: str, connection: Redis) -> WSGIApplication:
    """The application for one Redis: JSON only, no deletion, no settings from the environment.

    It reads over `connection` and shows `redis_url`, without the password, as where that leads.
    Raises ImportError where the extra is not installed.
    """
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
    web.from_url = lambda *_, **__: (None, current_app.redis_conn)  # type: ignore[attr-defined]  # rq-dashboard's

    app = Flask("rq_dashboard")
    app.url_map.redirect_defaults = False  # /0/view/queues is answered, not sent to /
    app.config.update(
        PROPAGATE_EXCEPTIONS=True,
        RQ_DASHBOARD_DISABLE_DELETE=True,
        RQ_DASHBOARD_REDIS_URL=(_without_password(redis_url),),  # only shown, see from_url
    )
    app.redis_conn = connection  # type: ignore[attr-defined]  # where rq-dashboard looks
    app.register_blueprint(web.blueprint)
    return app


def ask(dashboard: WSGIApplication, request: "Request") -> "Response":
    """What rq-dashboard answers, whole."""
    from werkzeug.wrappers import Response

    return Response.from_app(dashboard, _plain_get(request), buffered=True)


def _without_password(redis_url: str) -> str:
    parts = urlsplit(redis_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


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
