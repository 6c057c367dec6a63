"""The text of a new processor's test: it calls the processor, and asks for what it prints."""

from gateway.cli.shared.layout import call, import_line, imports, subscript
from gateway.cli.shared.scaffold import Draft, size_of


def text_of_test(draft: Draft) -> str:
    wish = draft.wish
    what = draft.told.attributes[-1] if draft.told else "size"
    done = f"{wish.name}(event{', payload' * wish.typed})"
    return "\n".join(
        [
            f'"""{wish.name}, called as what it is: a function."""\n',
            *imports(_test_imports(draft), wish.inside),
            *_body_constant(draft),
            "",
            call(
                f"def test_{wish.name}_tells_the_{what}",
                "capsys: pytest.CaptureFixture[str]",
                end=") -> None:",
            ),
            _made_event(draft),
            *_made_payload(draft),
            f"    asyncio.run({done})" if wish.is_async else f"    {done}",
            *_asserted(draft),
            "",
        ]
    )


def _test_imports(draft: Draft) -> list[str]:
    wish, body = draft.wish, draft.body_file
    form = draft.examples.kind == "form" and draft.told
    other = not body and wish.preset != wish.source
    names = [draft.models[0].name, wish.name] if wish.typed else [wish.name]
    return [
        *(["import asyncio"] if wish.is_async else []),
        *(["from pathlib import Path", "from typing import Final"] if body else []),
        *(["from urllib.parse import parse_qsl"] if form else []),
        "import pytest",
        *(["from gateway import samples"] if other else []),
        "from gateway.testing import make_event",
        import_line(wish.module, names),
    ]


def _body_constant(draft: Draft) -> list[str]:
    return (
        [f'BODY: Final = Path(__file__).with_suffix("{draft.body_file}")\n'] if draft.body_file else []
    )


def _made_event(draft: Draft) -> str:
    wish, kind = draft.wish, draft.type
    bodies = [] if wish.preset == wish.source else [f'samples.load("{wish.preset}", "{kind}").body']
    bodies = ["BODY.read_bytes()"] if draft.body_file else bodies
    return call(
        "    event = make_event", f'"{wish.source}"', f'"{kind}"', *(f"body={each}" for each in bodies)
    )


def _made_payload(draft: Draft) -> list[str]:
    """As the worker does before the call."""
    if not draft.wish.typed:
        return []
    return [f"    payload = {draft.models[0].name}.model_validate_json(event.body)"]


def _asserted(draft: Draft) -> list[str]:
    told, out = draft.told, "in capsys.readouterr().out"
    if told is None:
        return [f'    assert f"{size_of(draft)}" {out}']
    if draft.examples.kind == "form":
        form = "    form = dict(parse_qsl(event.body.decode()))"
        return [form, f"    assert form{subscript(told.keys)} {out}"]
    value = f"event.payload{subscript(told.keys)}"
    return [f"    assert {value if told.kind == 'str' else f'str({value})'} {out}"]
