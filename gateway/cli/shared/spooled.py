"""How what waits on disk is told: files and events, for people and for programs."""

from typing import TYPE_CHECKING, Any

from gateway.cli.shared.printing import iso, local

if TYPE_CHECKING:
    from gateway.adapters.spool.slots import FileState, State
    from gateway.application import Application
    from gateway.core.event import Event


def file_row(file: "FileState") -> tuple[Any, ...]:
    from gateway.units import size_text

    used, totals = ("no", "yes")[file.used], file.totals
    if totals is None:
        return (file.path, used, "unreadable", "-", "-")
    oldest = local(totals.oldest) if totals.oldest else "-"
    return (file.path, used, totals.many, size_text(totals.size), oldest)


def state_json(state: "State", app: "Application") -> dict[str, Any]:
    return {
        "requests": state.requests,
        "bytes": state.size,
        "oldest": iso(state.oldest) if state.oldest else None,
        "not_configured": [name for name in sorted(state.requests) if not app.config.source(name)],
        "files": [
            {
                "file": str(each.path),
                "used": each.used,
                "readable": each.totals is not None,
                "requests": each.totals.many if each.totals else None,
                "corrupt": each.totals.set_aside if each.totals else None,
            }
            for each in state.files
        ],
        "damaged": [str(path) for path in state.damaged],
    }


def event_row(event: "Event") -> tuple[Any, ...]:
    return (
        local(event.received_at),
        event.source,
        event.type,
        event.id,
        event.provider_id,
        len(event.body),
    )


def event_json(event: "Event", *, body: bool) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "provider_id": event.provider_id,
        "received_at": iso(event.received_at),
        "bytes": len(event.body),
    }
    return value | ({"body": event.body.decode("utf-8", "backslashreplace")} if body else {})
