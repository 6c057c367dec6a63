"""Processors that need no code, in a deployment without a line of Python: real gateway, real worker."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from standardwebhooks import Webhook

from tests.builtin_rig import SECRET as FORWARD_SECRET
from tests.builtin_rig import Receiver
from tests.e2e.deployments import SIGNED, event, settings, signed
from tests.e2e.rig import CANARY, SECRET, Deployment, Gateway, until

ENVIRON: Final = {"SECRET": SECRET, "FORWARD": FORWARD_SECRET}
RETRY: Final = '[retry]\nattempts = 2\nfirst_delay = "1ms"\n'
QUICK: Final = '[worker]\nsweep_interval = "50ms"\n'


def tables(receiver: Receiver, root: Path) -> str:
    return f"""
        [[processors]]
        run = "forward"
        url = "{receiver.url}/in?token={CANARY}"
        secret = "env:FORWARD"

        [[processors]]
        run = "log"
        fields = ["type", "$.type", "number"]

        [[processors]]
        run = "append"
        file = "{root}/events.jsonl"

        [[processors]]
        run = "exec"
        command = ["sh", "-c", "cat > {root}/body; echo $HOOKLINE_EVENT_TYPE > {root}/type"]

        [[processors]]
        run = "exec"
        name = "never"
        command = ["false"]
        when = {{ field = "$.type", equals = "other" }}
    """


def deployment(root: Path, text: str) -> Deployment:
    return Deployment(root, {"plain": SIGNED + RETRY + text}, settings(rest=QUICK), environ=ENVIRON)


def accept(given: Deployment, redis_url: str, body: bytes) -> None:
    with Gateway(given, redis_url) as gateway:
        assert gateway.send("/hooks/plain", body, signed(body, "first")).status == 200


def work(given: Deployment, redis_url: str, *words: str) -> list[dict[str, Any]]:
    """The lines of a worker that runs until nothing is left to do; none shows a secret or a body."""
    ended: subprocess.CompletedProcess[str] = given.run(
        "worker", "--burst", *words, redis_url=redis_url
    )
    assert ended.returncode == 0, ended.stderr
    for secret in (CANARY, *ENVIRON.values()):
        assert secret not in ended.stderr
    return [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]


@contextmanager
def working(given: Deployment, redis_url: str) -> Iterator[None]:
    """A worker that runs on, and ends in order."""
    with (given.root / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            given.command("worker"), env=given.environment(redis_url), stderr=log, stdout=log
        )
        try:
            yield
        finally:
            worker.terminate()
            assert worker.wait(60) == 0


def told(given: Deployment, redis_url: str, *words: str) -> Any:
    return json.loads(given.run(*words, "--json", redis_url=redis_url).stdout)


@pytest.mark.parametrize("words", [(), ("--isolate",)], ids=["threads", "isolated"])
def test_an_event_is_forwarded_logged_appended_and_given_to_a_program(
    words: tuple[str, ...], tmp_path: Path, redis_url: str
) -> None:
    body = event("push", number=7)
    with Receiver() as receiver:
        given = deployment(tmp_path, tables(receiver, tmp_path))
        accept(given, redis_url, body)
        lines = work(given, redis_url, *words)
    (received,) = receiver.received
    assert Webhook(FORWARD_SECRET).verify(received.body, dict(received.headers)) == json.loads(body)
    (appended,) = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert appended["payload"] == json.loads(body)
    assert (tmp_path / "body").read_bytes() == body
    assert (tmp_path / "type").read_text() == "push\n"
    if not words:  # a process for each delivery logs in a form of its own
        (logged,) = [line for line in lines if line["event"] == "event.logged"]
        assert logged["fields"] == {"type": "push", "$.type": "push", "number": 7}
    done = {line["processor"] for line in lines if line["event"] == "attempt.done"}
    assert done == {"plain.forward", "plain.log", "plain.append", "plain.exec"}


def test_what_a_receiver_does_not_take_is_tried_again_put_aside_and_replayed(
    tmp_path: Path, redis_url: str
) -> None:
    with Receiver(500) as receiver:
        text = f'[[processors]]\nrun = "forward"\nurl = "{receiver.url}/?token={CANARY}"\n'
        given, log = deployment(tmp_path, text), tmp_path / "worker.log"
        accept(given, redis_url, event())
        with working(given, redis_url):
            until(lambda: log.read_text().count("attempt.failed") == 2)
            (letter,) = until(lambda: told(given, redis_url, "dead-letters", "list"))
            assert (letter["processor"], letter["reason"]) == ("plain.forward", "exhausted")
            shown = given.run("dead-letters", "show", letter["id"], redis_url=redis_url).stdout
            assert f"127.0.0.1:{receiver.port} answered 500" in shown
            receiver.status = 204
            assert given.run("replay", letter["id"], "--yes", redis_url=redis_url).returncode == 0
            until(lambda: "attempt.done" in log.read_text())
            until(lambda: not told(given, redis_url, "dead-letters", "list"))
    words = [line["event"] for line in map(json.loads, log.read_text().splitlines())]
    assert [word for word in words if word.startswith("attempt.")] == [
        "attempt.failed",
        "attempt.failed",
        "attempt.done",
    ]
    assert CANARY not in log.read_text()
    ids = {each.headers["webhook-id"] for each in receiver.received}
    assert (len(receiver.received), len(ids)) == (3, 1)


def test_they_are_listed_with_the_file_and_the_key_that_declare_them(
    tmp_path: Path, redis_url: str
) -> None:
    with Receiver() as receiver:
        given = deployment(tmp_path, tables(receiver, tmp_path))
        listed = told(given, redis_url, "plugins")["processors"]
    assert [each["name"] for each in listed] == [
        "plain.forward",
        "plain.log",
        "plain.append",
        "plain.exec",
        "never",
    ]
    file = f"{tmp_path}/config/sources/plain.toml"
    assert [each["origin"] for each in listed] == [f"{file}: processors[{n}]" for n in range(5)]
    assert {each["registry"] for each in listed} == {file}


def test_check_lists_what_is_wrong_with_them_and_never_a_secret(tmp_path: Path, redis_url: str) -> None:
    text = f'[[processors]]\nrun = "forward"\nurl = "http://a.example/{CANARY}"\nsecret = "{CANARY}"\n'
    ended = deployment(tmp_path, text).run("check", "--offline", redis_url=redis_url)
    assert ended.returncode == 78
    assert "plain.toml: processors[0].url: is http to a.example" in ended.stdout
    assert "plain.toml: processors[0].secret: is not a reference" in ended.stdout
    assert CANARY not in ended.stdout + ended.stderr
