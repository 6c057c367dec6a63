"""How refused requests are shown, as text and as JSON: nothing that could prove origin is readable."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.shared.printing import (
    body_text,
    iso,
    local,
    print_pairs,
    print_text,
    printable,
)
from gateway.cli.shared.tables import print_table

if TYPE_CHECKING:
    from gateway.adapters.ledger.refused import Refused
    from gateway.adapters.ledger.refused_reader import Place
    from gateway.application import Application

    Row = tuple[Place, Refused]

COLUMNS: Final = ("received", "id", "source", "reason", "size", "client", "quarantined", "left out")
STEPS: Final = (("client", 0), ("size", 0), ("left out", 0), ("source", 8), ("received", 0))
HIDDEN: Final = "It holds the proof of origin, so it is not shown."


def refusal_json(place: "Place", refused: "Refused") -> dict[str, Any]:
    """What a list says of one."""
    captured = refused.captured
    return {
        "id": place.id,
        "source": place.source,
        "reason": captured.reason,
        "received": iso(captured.received_at or 0.0),
        "size": captured.body_size,
        "client": captured.client,
        "quarantined": place.quarantined,
        "left_out": refused.left_out,
    }


def show_refusals(rows: "Sequence[Row]") -> None:
    from gateway.units import size_text

    print_table(COLUMNS, [_cells(*row, size_text(row[1].captured.body_size)) for row in rows], STEPS)


def _cells(place: "Place", refused: "Refused", size: str) -> tuple[Any, ...]:
    captured = refused.captured
    return (
        local(captured.received_at or 0.0),
        place.id,
        place.source,
        captured.reason,
        size,
        captured.client,
        ("no", "yes")[place.quarantined],
        refused.left_out or None,
    )


def details_json(
    app: "Application", place: "Place", refused: "Refused", *, body: bool
) -> dict[str, Any]:
    """All about one; `body` only where it was asked for and may be shown."""
    url, headers = _masked(app, place, refused)
    known = {"method": refused.captured.method, "url": url, "headers": headers}
    value = refusal_json(place, refused) | known
    text = refused.captured.body.decode("utf-8", "backslashreplace")
    return value | ({"body": text} if body and not _hides_body(app, place, refused) else {})


def show_details(app: "Application", place: "Place", refused: "Refused", *, body: bool) -> None:
    """All about one, and what can be done with it."""
    from gateway.units import size_text

    captured = refused.captured
    url, headers = _masked(app, place, refused)
    print_pairs(
        ("Request", place.id),
        ("Source", place.source),
        ("Reason", captured.reason),
        ("Received", local(captured.received_at or 0.0)),
        ("Client", captured.client or ""),
        ("Call", f"{captured.method} {url}"),
        ("Size", size_text(captured.body_size)),
        ("Quarantined", "yes, whole" if place.quarantined else "no, masked and cut"),
    )
    if refused.left_out:
        print_text(f"Before it, {refused.left_out} more were refused that the log has no room for.")
    print_text("\nHeaders")
    for name, value in headers:
        print_text(f"  {printable(name)}: {printable(value)}")
    if body:
        hidden = _hides_body(app, place, refused)
        print_text(f"\nBody\n{HIDDEN if hidden else body_text(captured.body)}")
        if not (captured.whole or hidden):
            print_text(f"... {len(captured.body)} of {captured.body_size} bytes were kept")
    if place.quarantined:
        print_text(f"\nExplain it:  hookline explain {place.id}")
        print_text(f"Release it:  hookline refused release {place.source}")
    print_text(
        f"{'' if place.quarantined else chr(10)}Give it up:  hookline refused discard {place.id}"
    )


def _proof(app: "Application", place: "Place", refused: "Refused") -> frozenset[str]:
    """Where proof stood by the scheme of then and stands by that of now."""
    from gateway.core.masking import proof_places

    source = app.config.source(place.source)
    return refused.proof | (proof_places(source.scheme) if source else frozenset())


def _masked(
    app: "Application", place: "Place", refused: "Refused"
) -> tuple[str, list[tuple[str, str]]]:
    """Its URL and headers. What the log has was masked before, and masks no further."""
    from gateway.core.masking import masked_headers, masked_url

    captured, proof = refused.captured, _proof(app, place, refused)
    url, headers = captured.url, captured.headers
    if place.quarantined:
        url, headers = masked_url(url, proof), masked_headers(headers, proof)
    return url, [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _hides_body(app: "Application", place: "Place", refused: "Refused") -> bool:
    from gateway.core.masking import body_is_proof

    return body_is_proof(_proof(app, place, refused))
