"""The embedded server's data directory: whose it is, and where the server on it is found.

Two locks see to it that no two servers ever share one append-only file, and that no crash blocks
the next start:

* `server.lock` is a flock on a descriptor that the server inherits and its starter closes: it is
  held exactly as long as the server, or a child rewriting its append-only file, is alive.
* `owner.lock` is a POSIX lock of the process that started or adopted the server. It ends with
  that process, however it dies, and a forked child does not inherit it.

`server.json` names the server's socket and process for an owner that has to adopt it.
"""

import fcntl
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LONGEST_SOCKET_PATH: Final = 99  # bytes; the kernel's own limit is 103 (macOS) or 107 (Linux)

# POSIX locks do not keep a process from locking twice, so each process also remembers its own.
_owned: dict[Path, int] = {}


@dataclass(frozen=True, slots=True)
class Record:
    """Where a server answers, and its process id once that is known."""

    socket: Path
    pid: int | None


class DataDir:
    """The directory at `path`, made when it is claimed."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._owner: int | None = None  # descriptor of owner.lock while we hold it

    @property
    def is_ours(self) -> bool:
        return self._owner is not None

    def claim(self) -> str | None:
        """Become the one owner. None means done, else it is the process id of the owner there is.

        Raises OSError where the directory cannot be used.
        """
        if _owned.get(self.path) == os.getpid():
            return str(os.getpid())
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _open_lock(self.path / "owner.lock")
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # systems differ
            with os.fdopen(descriptor) as lock:
                return lock.read().strip()
        os.pwrite(descriptor, f"{os.getpid():>10}\n".encode(), 0)  # one width: never seen half-written
        self._owner, _owned[self.path] = descriptor, os.getpid()
        return None

    def release(self) -> None:
        """Give up what `claim` got."""
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None
            _owned.pop(self.path, None)

    def lock_server(self) -> int:
        """A descriptor that holds `server.lock`. Raises BlockingIOError while a server is alive."""
        descriptor = _open_lock(self.path / "server.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        return descriptor

    def has_server(self) -> bool:
        """Whether a server is alive. For the owner: nobody else may see the lock taken for a look."""
        try:
            os.close(self.lock_server())
        except BlockingIOError:
            return True
        return False

    def record(self) -> Record:
        """What was written last; where that is lost, the socket's usual place."""
        try:
            fields = json.loads((self.path / "server.json").read_text())
        except (OSError, ValueError):
            return Record(self._usual_socket, None)
        return Record(Path(fields["socket"]), fields["pid"])

    def write(self, record: Record) -> None:
        """For the next owner, and for a process that is refused; never seen half-written."""
        draft = self.path / "server.json.new"
        draft.write_text(json.dumps({"socket": str(record.socket), "pid": record.pid}))
        draft.replace(self.path / "server.json")

    def forget(self) -> None:
        """Remove the socket and the record of a server that has ended."""
        socket = self.record().socket
        with suppress(OSError):
            socket.unlink(missing_ok=True)
            if socket.parent != self.path:
                socket.parent.rmdir()
        (self.path / "server.json").unlink(missing_ok=True)

    def new_socket(self) -> Path:
        """Inside the directory, or in a private one where that path is too long."""
        if len(os.fsencode(self._usual_socket)) <= LONGEST_SOCKET_PATH:
            return self._usual_socket
        return Path(tempfile.mkdtemp(prefix="hookline-")) / "server.sock"

    @property
    def _usual_socket(self) -> Path:
        return self.path / "server.sock"


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
