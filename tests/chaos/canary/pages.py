"""The dashboard as a browser sees it: every page that its first leads on to, and what those fetch."""

import base64
import re
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urljoin

MOST: Final = 60  # pages
PATIENCE_SECONDS: Final = 30.0
REGISTRIES: Final = ("queued", "failed", "finished", "scheduled", "started")


def crawled(root: str, password: str, jobs: Iterable[str], queues: Iterable[str]) -> Iterator[bytes]:
    """Path and content of each."""
    waiting, met = [root, *(urljoin(root, path) for path in _paths(jobs, queues))], set[str]()
    while waiting and len(met) < MOST:
        url = waiting.pop(0)
        if url in met:
            continue
        met.add(url)
        page = _fetched(url, password)
        yield url.encode() + b"\n" + page
        links = re.findall(r'(?:href|src)="([^"#<\'\s]+)"', page.decode(errors="replace"))
        waiting += [urljoin(url, link) for link in links if urljoin(url, link).startswith(root)]


def _paths(jobs: Iterable[str], queues: Iterable[str]) -> Iterator[str]:
    yield from ("0/view/jobs", "0/data/queues.json", "0/data/workers.json")
    for queue in queues:
        yield from (f"0/data/jobs/{queue}/{registry}/20/asc/1.json" for registry in REGISTRIES)
    for job in jobs:
        yield from (f"0/view/job/{job}", f"0/data/job/{job}.json")


def _fetched(url: str, password: str) -> bytes:
    """An error's page too."""
    basic = base64.b64encode(f"any:{password}".encode()).decode()
    asked = urllib.request.Request(url, headers={"Authorization": f"Basic {basic}"})
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE_SECONDS) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        with error:
            return error.read()
