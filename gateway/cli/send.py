"""`hookline send`: a signed webhook, as the provider would send it; and the ways it can go wrong."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.common import (
    FAILED,
    NOT_FOUND,
    UNAVAILABLE,
    command_environ,
    fail,
    json_option,
    load_or_exit,
    place_options,
    print_json,
)

if TYPE_CHECKING:
    from gateway.core.request import InboundRequest
    from gateway.core.source import Source
    from gateway.signing import Draft

STALE_SECONDS = 3600.0


@click.command()
@place_options
@click.argument("source_name", metavar="SOURCE")
@click.argument("event_type", required=False)
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Send this file."
)
@click.option(
    "--set", "changes", multiple=True, metavar="PATH=VALUE", help="Change a value of the JSON body."
)
@click.option("--id", "event_id", help="The event's id (default: a new one).")
@click.option("--bad-signature", is_flag=True, help="Break the signature.")
@click.option("--stale", is_flag=True, help="Sign with a time one hour ago.")
@click.option("--duplicate", is_flag=True, help="Send the same request twice.")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, help="How many different events.")
@click.option("--to", metavar="URL", help="Where to (default: the gateway of the settings).")
@json_option
def command(
    source_name: str,
    event_type: str | None,
    data: Path | None,
    changes: tuple[str, ...],
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
    app = load_or_exit(command_environ())
    source = app.config.source(source_name)
    if source is None:
        known = ", ".join(each.name for each in app.config.sources)
        fail(NOT_FOUND, f"No source is named {source_name!r}. Configured: {known}")
    url = (
        to or f"http://{app.config.settings.server.host}:{app.config.settings.server.port}{source.path}"
    )
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        draft = _draft(source, event_type, data, changes, event_id)
        request = _request(source, draft, bad_signature=bad_signature, stale=stale)
        for _ in range(2 if duplicate else 1):
            rows.append(_post(url, request, draft))
    _show(rows, as_json=as_json)
    if any(not 200 <= row["status"] < 300 for row in rows):
        raise SystemExit(FAILED)


def _draft(
    source: "Source",
    event_type: str | None,
    data: Path | None,
    changes: tuple[str, ...],
    event_id: str | None,
) -> "Draft":
    from gateway.signing import Draft, new_event_id, with_values

    if data is not None:
        content_type = (
            "application/x-www-form-urlencoded" if data.suffix == ".form" else "application/json"
        )
        body, kind = data.read_bytes(), event_type
    else:
        body, kind, content_type = _sample(source, event_type)
    if changes:
        try:
            body = with_values(body, dict(_change(text) for text in changes))
        except ValueError as error:
            fail(FAILED, f"--set {error}")
    return Draft(body, content_type, kind, event_id or new_event_id(source.preset))


def _sample(source: "Source", event_type: str | None) -> tuple[bytes, str, str]:
    from gateway import samples

    if source.preset is None or source.preset not in samples.presets():
        fail(NOT_FOUND, f"There are no samples for source {source.name!r}: give --data FILE.")
    try:
        sample = samples.load(source.preset, event_type or samples.types(source.preset)[0])
    except samples.UnknownSample as error:
        fail(NOT_FOUND, str(error))
    return sample.body, sample.type, sample.content_type


def _change(text: str) -> tuple[str, Any]:
    """`a.b=5` to ("a.b", 5): the value as JSON where it is some, else as text."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ValueError(f"{text!r}: write PATH=VALUE, such as data.object.amount=500")
    try:
        return path, json.loads(value)
    except ValueError:
        return path, value


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
        fail(UNAVAILABLE, f"{url}: {error}. Is the gateway running? Try `hookline dev`.")
    return {
        "status": response.status_code,
        "ms": round((time.perf_counter() - started) * 1000, 1),
        "type": draft.event_type,
        "id": draft.event_id,
        "bytes": len(request.body),
        "answer": response.text[:200],
        "url": url,
    }


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    for row in rows:
        answer = f"  {row['answer']}" if row["answer"] else ""
        click.echo(f"{row['status']}  {row['ms']:>6} ms  {row['type'] or '-'}  {row['id']}{answer}")
