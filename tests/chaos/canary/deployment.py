"""The deployment in which canaries are planted: every kind of secret, processors that misbehave."""

from pathlib import Path
from typing import Final

from tests.chaos.canary.planted import Canaries
from tests.e2e.rig import Deployment

GATEWAY: Final = """
[server]
flood_limit = "1000000/minute"
[admin]
token = "env:ADMIN_TOKEN"
[redis]
timeout = "300ms"
[worker]
lease = "2s"
look_interval = "1s"
sweep_interval = "200ms"
[defaults.retry]
attempts = 2
first_delay = "50ms"
[log]
format = "json"
level = "debug"
"""
IDENTITY: Final = '[identity]\nevent_id = ["{header.X-Event-Id}"]\nevent_type = ["{json.type}"]\n'
SIGNED: Final = f"""
secrets = ["env:SIGNING", "file:{{root}}/signing", "env:ROTATED"]
{{more}}
[verify]
scheme = "signature"
header = "X-Signature"
{IDENTITY}"""
ENCODED: Final = f"""
secrets = ["env:ENCODED"]
[verify]
scheme = "signature"
header = "X-Signature"
key_encoding = "base64"
{IDENTITY}"""
TOKEN: Final = f"""
secrets = ["env:{{name}}"]
{{more}}
[verify]
scheme = "token"
{{place}}
{IDENTITY}"""
BASIC: Final = f'secrets = ["env:BASIC"]\n[verify]\nscheme = "basic-auth"\n{IDENTITY}'
ELSEWHERE: Final = 'allow_ips = ["203.0.113.0/24"]'


def sources(root: Path) -> dict[str, str]:
    def signed(more: str = "") -> str:
        return SIGNED.replace("{root}", str(root)).replace("{more}", more)

    def token(name: str, place: str, more: str = "") -> str:
        return TOKEN.replace("{name}", name).replace("{place}", place).replace("{more}", more)

    return {
        "signed": signed("spool = true"),
        "kept": signed('on_bad_signature = "quarantine"'),
        "forbidden": signed(ELSEWHERE),
        "small": signed('max_body = "1KiB"'),
        "encoded": ENCODED,
        "door": token("DOOR", 'header = "X-Door"'),
        "query": token("QUERY", 'at = "query.token"'),
        "door-forbidden": token("DOOR_FORBIDDEN", 'header = "X-Door"', ELSEWHERE),
        "basic": BASIC,
    }


# An event's type says what is done with it; `note` is what it brought along.
PROCESSORS: Final = """
import os, signal
from pydantic import BaseModel
from gateway.plugins import *

registry = Registry()

class Order(BaseModel):
    number: int

def fail(event: Event) -> None:
    local = os.environ["LOCAL"]
    try:
        int("x" + event.payload["cause"])
    except ValueError as error:
        raise RuntimeError(event.payload["note"]) from error

def discard(event: Event) -> None:
    raise Discard(event.payload["note"])

def kill(event: Event) -> None:
    if event.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)

def emit(event: Event) -> None:
    note = event.payload
    event.emit("handed.on", {"note": note["note"]})
    event.once("step", lambda: {"note": note["step"]})

def fit(event: Event, order: Order) -> None: ...

def nothing(event: Event) -> None: ...

for each in (fail, discard, kill, emit, fit):
    registry.processor(source="signed", events=[each.__name__], name=each.__name__)(each)
OTHERS = "kept encoded door query basic internal forbidden small door-forbidden"
for name in OTHERS.split():
    registry.processor(source=name, name="nothing-" + name)(nothing)
registry.processor(source="signed", events=["plain"], name="nothing")(nothing)
"""


def a_deployment(root: Path, canaries: Canaries) -> Deployment:
    (root / "signing").write_text(canaries["signing secret (file)"])
    (root / "tmp").mkdir()
    environ = {
        "SIGNING": canaries["signing secret (env)"],
        "ROTATED": canaries["rotated secret"],
        "ENCODED": canaries["base64 secret, written"],
        "DOOR": canaries["token in a header"],
        "QUERY": canaries["token in a query"],
        "DOOR_FORBIDDEN": canaries["token, refused for its address"],
        "BASIC": f"user:{canaries['password of basic-auth']}",
        "ADMIN_TOKEN": canaries["admin token"],
        "OTHER_SECRET": canaries["another variable"],
        "LOCAL": canaries["local variable"],
        "TMPDIR": str(root / "tmp"),
    }
    return Deployment(root, sources(root), GATEWAY, {"all": PROCESSORS}, environ)
