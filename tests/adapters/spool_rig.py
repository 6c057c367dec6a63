"""What the spool's tests share: requests by a short name, files without fsync's price, crashes."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.adapters.spool.damage import files_of
from gateway.adapters.spool.records import Packed, pack
from gateway.adapters.spool.store import Store
from gateway.core.event import Arrival, Event, event_id

MEMORY = Path("/dev/shm")


@contextmanager
def quick_directory() -> Iterator[Path]:
    """In memory where there is such a place: thousands of files are opened here."""
    place = tempfile.mkdtemp(prefix="spool-", dir=MEMORY if MEMORY.is_dir() else None)
    try:
        yield Path(place)
    finally:
        shutil.rmtree(place)


def arrival(name: str, source: str = "shop", body: bytes = b"{}") -> Arrival:
    headers = ((b"x-id", name.encode()), (b"x-odd", b"\xff\x00"))
    key = event_id(source, "id", name.encode())
    return Arrival(Event(key, source, "push", name, headers, body, 1_700_000_000.25), ("a", "b"))


def record(name: str, source: str = "shop", body: bytes = b"{}") -> Packed:
    return pack([arrival(name, source, body)], source)


def names(store: Store, *sources: str) -> list[str]:
    """The provider's ids of all that waits, in order."""
    found = store.oldest(sources or ("shop",), 1_000_000)
    return [each.event.provider_id for kept in found for each in kept.arrivals]


def after_a_crash(path: Path, place: Path) -> Path:
    """The files as they are on disk now, elsewhere: nobody has closed them."""
    place.mkdir(exist_ok=True)
    for each in files_of(place / path.name):
        each.unlink(missing_ok=True)
    for each in files_of(path)[:2]:
        if each.exists():
            shutil.copyfile(each, place / each.name)
    return place / path.name
