"""`hookline send`: a signed webhook, as the provider would send it; and the ways it can go wrong."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from gateway.cli.shared.deployment import load_or_exit, source_or_exit
from gateway.cli.shared.exits import FAILED, NOT_FOUND, UNAVAILABLE, fail
from gateway.cli.shared.options import json_option, place_options
from gateway.cli.shared.printing import http_url, print_json, print_text, printable

if TYPE_CHECKING:
    from gateway.application import Application
    from gateway.core.request import InboundRequest
    from gateway.core.source import Source
    from gateway.samples import Sample
    from gateway.signing import Draft

STALE_SECONDS: Final = 3600.0
HTTP_OK: Final = 200
FORM: Final = "application/x-www-form-urlencoded"

Change = tuple[str, Any]


def url_option(text: str) -> str:
    if urlsplit(text).scheme in ("http", "https") and urlsplit(text).netloc:
        return text
    mend = "write http://HOST:PORT/PATH, or https://...; without PATH it is the source's"
    raise click.BadParameter(f"{text!r} is no URL: {mend}")


def change_option(text: str) -> Change:
    """`a.b=5` to ("a.b", 5): the value as JSON where it is some, else as text."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        mend = "write PATH=VALUE, such as data.object.amount=500"
        raise click.BadParameter(f"{text!r} is no change: {mend}")
    try:
        return path, json.loads(value)
    except ValueError:
        return path, value


@click.command()
@place_options
@click.argument("source_name", metavar="SOURCE")
@click.argument("event_type", required=False)
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Send this file."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    type=change_option,
    metavar="PATH=VALUE",
    help="Change a value of the JSON body; may be repeated.",
)
@click.option("--id", "event_id", metavar="ID", help="The event's id (default: a new one).")
@click.option("--bad-signature", is_flag=True, help="Break the signature.")
@click.option("--stale", is_flag=True, help="Sign with a time one hour ago.")
@click.option("--duplicate", is_flag=True, help="Send the same request twice.")
@click.option(
    "--count",
    type=click.IntRange(1, 100_000),
    default=1,
    metavar="N",
    help="How many different events (default: 1).",
)
@click.option(
    "--to", type=url_option, metavar="URL", help="Where to (default: the gateway of the settings)."
)
@json_option
def command(
    source_name: str,
    event_type: str | None,
    data: Path | None,
    changes: tuple[Change, ...],
    event_id: str | None,
    bad_signature: bool,
    stale: bool,
    duplicate: bool,
    count: int,
    to: str | None,
    as_json: bool,
) -> None:
    """Send a webhook to SOURCE, signed with its own secret as its provider would.

    Without --data a sample of the preset is sent; without EVENT_TYPE its first one. A sample gets a
    new event id each time, so that it is no duplicate. Exit status 0 when every answer was a 2xx.
    """
    app = load_or_exit()
    source = source_or_exit(app, source_name)
    server = app.config.settings.server
    url = _with_path(to or http_url(server.host, server.port), source)

    rows: list[dict[str, Any]] = []
    try:
        for _ in range(count):
            draft = _draft(source, event_type, data, changes, event_id)
            request = _request(source, draft, bad_signature=bad_signature, stale=stale)
            for _ in range(2 if duplicate else 1):
                rows.append(_post(url, request, draft) | {"filtered": _filtered(request, source, app)})
                if not as_json:
                    _show(rows[-1])
    finally:  # also when the gateway goes away meanwhile, or somebody presses Ctrl-C
        if as_json:
            print_json(rows)
    if any(not 200 <= row["status"] < 300 for row in rows):
        sys.exit(FAILED)


def _with_path(url: str, source: "Source") -> str:
    parts = urlsplit(url)
    return url if parts.path.strip("/") else parts._replace(path=source.path).geturl()


def _draft(
    source: "Source",
    event_type: str | None,
    data: Path | None,
    changes: tuple[Change, ...],
    event_id: str | None,
) -> "Draft":
    from gateway.signing import Draft, new_event_id, sample_draft

    new_id = event_id or new_event_id(source.preset)
    if data is not None:
        content_type = FORM if data.suffix == ".form" else "application/json"
        return Draft(_changed(data.read_bytes(), changes), content_type, event_type, new_id)
    sample = _sample(source, event_type)
    return sample_draft(source, sample, new_id, _changed(sample.body, changes))


def _changed(body: bytes, changes: tuple[Change, ...]) -> bytes:
    from gateway.signing import with_values

    try:
        return with_values(body, dict(changes)) if changes else body
    except ValueError as error:
        fail(FAILED, f"--set {error}")


def _sample(source: "Source", event_type: str | None) -> "Sample":
    from gateway import samples

    if source.preset is None or source.preset not in samples.presets():
        fail(NOT_FOUND, f"There are no samples for source {source.name!r}: give --data FILE.")
    try:
        return samples.load(source.preset, event_type or samples.types(source.preset)[0])
    except samples.UnknownSample as error:
        fail(NOT_FOUND, str(error))


def _request(source: "Source", draft: "Draft", *, bad_signature: bool, stale: bool) -> "InboundRequest":
    from dataclasses import replace

    from gateway.signing import signed_request

    request = signed_request(source, draft, time.time() - (STALE_SECONDS if stale else 0.0))
    # One byte more after signing: what a proxy that rewrites bodies does, and what a forger does.
    return replace(request, body=request.body + b" ") if bad_signature else request


def _post(url: str, request: "InboundRequest", draft: "Draft") -> dict[str, Any]:
    import httpx2

    headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers.raw]
    started = time.perf_counter()
    try:
        response = httpx2.post(url, content=request.body, headers=headers, timeout=15.0)
    except httpx2.HTTPError as error:
        mend = "Is the gateway running there? `hookline dev` starts one; --to says where another is."
        fail(UNAVAILABLE, f"{url}: {error}. {mend}")
    return {
        "status": response.status_code,
        "ms": round((time.perf_counter() - started) * 1000, 1),
        "type": draft.event_type,
        "id": draft.event_id,
        "bytes": len(request.body),
        "answer": response.text[:200],
        "url": url,
    }


def _filtered(request: "InboundRequest", source: "Source", app: "Application") -> list[str]:
    """The conditions that keep it from everybody, by the files here: the answer does not say."""
    from gateway.diagnosis.filters import filters

    sifted = filters(request, source, app.processors)
    reasons = [reason for each in sifted for reason in each.reasons]
    return reasons if all(each.is_filtered for each in sifted) else []


def _show(row: dict[str, Any]) -> None:
    answer = f"  {row['answer']}" if row["answer"] else ""
    if row["status"] == HTTP_OK and row["filtered"]:
        answer += f"  ignored (filtered) by {'; '.join(row['filtered'])}"
    line = f"{row['status']}  {row['ms']:>6} ms  {row['type'] or '-'}  {row['id']}{answer}"
    print_text(printable(line))
