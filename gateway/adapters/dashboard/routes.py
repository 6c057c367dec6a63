"""Which requests belong to the dashboard: its paths, its host names, and POSTs of its own pages."""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

# RQ's own rule for job ids. A queue's name stands unescaped inside jobs.js, so quotes stay out.
_JOB: Final = r"[A-Za-z0-9_-]{1,200}"
_QUEUE: Final = r"[A-Za-z0-9_.:{}@-]{1,200}"
_LIST: Final = (
    rf"jobs/{_QUEUE}/(?:queued|scheduled|deferred|started|finished|failed|canceled)"
    r"/(?:[1-9]\d?|1\d\d|200)/(?:asc|dsc)/[1-9]\d{0,6}"  # 200: the page's own maximum
)
# Instance 0 only: rq-dashboard swaps its one connection for everybody when another is looked at.
PAGES: Final = re.compile(rf"/|/0/|/0/view|/0/view/(?:queues|workers|jobs|{_LIST}|job/{_JOB})")
DATA: Final = re.compile(rf"/0/data/(?:queues|workers|{_LIST}|(?P<job>job/{_JOB}))\.json")
REPLAY: Final = re.compile(rf"/job/(?P<job>{_JOB})/requeue|/requeue/(?P<queue>{_QUEUE})")
_FILES: Final = re.compile(r"/favicon\.ico|/hookline\.js|/static/(?:(?:css|js)/)?[A-Za-z0-9._-]+")

_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d+)?")


def methods(path: str) -> tuple[str, ...]:
    """What may be done there; nothing where the path is not ours."""
    if any(reads.fullmatch(path) for reads in (PAGES, DATA, _FILES)):
        return ("GET", "HEAD")
    return ("POST",) if REPLAY.fullmatch(path) else ()


def host_name(host: str) -> str:
    """As it stands in a Host header: lower case, IPv6 in brackets."""
    return f"[{host}]".lower() if ":" in host and not host.startswith("[") else host.lower()


def asked_name(request: "Request") -> str | None:
    """The name, without port, by which the dashboard was asked; None where that is no host name."""
    host = _HOST.fullmatch(request.headers.get("Host", "").lower())
    return host["name"] if host else None


def from_our_page(request: "Request") -> bool:
    """Browsers send the password along with another site's forms: these two headers tell."""
    host = request.headers["Host"]
    own = (f"http://{host}", f"https://{host}")
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:
        return origin in own
    # "null": what some browsers make of our own origin under Referrer-Policy: no-referrer.
    return site == "same-origin" and origin in (*own, None, "null")
