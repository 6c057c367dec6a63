"""From a table with `run = "forward"` to where and with what events are sent on."""

from ipaddress import ip_address
from typing import Any, Final

from gateway.core.addresses import Network, parse_network
from gateway.core.builtin import Forward, Target, UrlError, parse_target
from gateway.core.schemes.algorithms import ALGORITHMS
from gateway.core.schemes.key_format import KeyFormat
from gateway.core.verification import SecretError
from gateway.options import REFERENCES
from gateway.sources.builtin_file import ForwardFile
from gateway.sources.desk import Desk

STANDARD_WEBHOOKS: Final = KeyFormat(encoding="base64", prefix=b"whsec_")
SIGNING: Final = ALGORITHMS["hmac-sha256"]
# Ours to write: another value would make the request another one, or its signature a false one.
OURS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"}
    | {"expect", "keep-alive", "proxy-connection", "webhook-id", "webhook-timestamp"}
    | {"webhook-signature"}
)
CREDENTIALS: Final = ("authorization", "cookie", "token", "secret", "password", "api-key", "apikey")


def build_forward(file: ForwardFile, desk: Desk) -> Forward | None:
    networks = tuple(parse_network(each) for each in file.private_networks)
    target = _target(file, networks, desk)
    keys = _keys(file, desk)
    for index, name in enumerate(file.headers):
        if name.lower() in OURS:
            desk.fault(f"headers[{index}]", f"{name} is written by us", "leave it out")
    add = {name.lower(): _header(name, value, desk) for name, value in file.add.items()}
    if target is None:
        return None
    headers = tuple(name.lower() for name in file.headers)
    known = {name: value for name, value in add.items() if value is not None}
    return Forward(target, keys, headers, known, networks, file.discard_on)


def _target(file: ForwardFile, networks: tuple[Network, ...], desk: Desk) -> Target | None:
    text = desk.text("url", file.url)
    if text is None:
        return None
    try:
        target = parse_target(text.strip())
    except UrlError as error:
        mend = "write https://host/path; a password goes into add.Authorization"
        desk.fault("url", str(error), mend)
        return None
    if target.scheme == "http" and not (target.is_loopback or file.insecure):
        mend = "use https, or set insecure = true where the network is yours from end to end"
        desk.fault("url", f"is http to {target.host}: anybody on the way could read it", mend)
    if _is_private(target, networks):
        mend = f'allow it: private_networks = ["{target.host}"]'
        desk.fault("url", f"{target.host} is no address of the open internet", mend)
    return target


def _is_private(target: Target, networks: tuple[Network, ...]) -> bool:
    """Whether it is an address that would be refused. A name is judged whenever it is called."""
    try:
        address = ip_address(target.host)
    except ValueError:
        return False
    allowed = any(address in each for each in networks if each.version == address.version)
    return not (address.is_global or address.is_loopback or allowed)


def _keys(file: ForwardFile, desk: Desk) -> tuple[Any, ...]:
    references = (file.secret,) if isinstance(file.secret, str) else file.secret
    keys: list[Any] = []
    for index, reference in enumerate(references):
        key = "secret" if isinstance(file.secret, str) else f"secret[{index}]"
        secret = desk.secret(key, reference, refuse_weak=True)
        if secret is None:
            continue
        try:
            keys.append(SIGNING.load_key(STANDARD_WEBHOOKS.decode(secret)))
        except SecretError:
            mend = 'make one: echo "whsec_$(openssl rand -base64 32)"'
            desk.fault(key, f"{reference} is no base64 text", mend)
    return tuple(keys)


def _header(name: str, value: str, desk: Desk) -> str | None:
    """The value of an added header; None with a fault."""
    key = f"add.{name}"
    if name.lower() in OURS:
        desk.fault(key, f"{name} is written by us", "leave it out")
        return None
    if not value.startswith(REFERENCES) and any(word in name.lower() for word in CREDENTIALS):
        desk.fault(key, "looks like a secret, which no file may hold", f'write {name} = "env:NAME"')
        return None
    text = desk.text(key, value)
    if text is None or (text.isascii() and text.isprintable()):
        return text
    desk.fault(key, "holds a sign that no header may", "use printable ASCII")
    return None
