"""`hookline presets`: the list with its filters and its summary, and all about one."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.catalogue import key_source_of, load_preset, preset_names
from gateway.catalogue.family import FAMILIES, family_of
from gateway.catalogue.left_out import left_out
from gateway.cli import main
from gateway.cli.shared.preset_lists import with_tables
from gateway.cli.shared.proof_words import proof_sentences
from gateway.cli.shared.source_sample import sample_source
from gateway.configuration import read_file
from gateway.core.template import TemplateError, compile_template
from gateway.options import load_options, signs_url
from gateway.sources import SourceFile

every_preset = pytest.mark.parametrize("name", preset_names())


def presets(*words: str, **env: str) -> Result:
    return CliRunner().invoke(main, ["presets", *words], env=env)


def ids(*words: str) -> list[str]:
    result = presets(*words, "--json")
    assert result.exit_code == 0, result.output
    return [each["id"] for each in json.loads(result.stdout)]


def shown(name: str) -> str:
    result = presets("show", name)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


# list


def test_it_lists_every_preset_when_called_bare() -> None:
    lines = presets().stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(preset_names())
    assert all(load_preset(line.split()[0]).links[0] in line for line in lines)


def test_presets_are_data_with_json() -> None:
    assert ids() == list(preset_names())
    stripe = json.loads(presets("show", "stripe", "--json").stdout)
    assert (stripe["name"], stripe["family"]) == ("Stripe", "hmac-structured")
    assert stripe["verify"]["timestamp"]["tolerance"] == 300


def test_the_summary_counts_every_family_and_says_who_stayed_out_and_why() -> None:
    text = " ".join(presets().stderr.split())
    assert f"{len(preset_names())} presets." in text
    families = [family_of(load_preset(name).verify) for name in preset_names()]
    assert all(f"{families.count(word)} {word}" in text for word in set(families))
    for each in left_out():
        assert each.why in text
        assert all(name in text for name in each.providers)


@pytest.mark.parametrize(
    ("words", "within"),
    [
        (("--category", "PAYMENTS"), lambda each: "Payments" in each.category),
        (("--trust", "vendor-code"), lambda each: each.trust == "vendor-code"),
        (("--scheme", "token"), lambda each: each.verify.scheme == "token"),
        (("--scheme", "hmac-url"), lambda each: family_of(each.verify) == "hmac-url"),
        (("--search", "stripe"), lambda each: "stripe" in f"{each.name} {each.notes}".lower()),
    ],
)
def test_a_filter_shows_what_fits_and_nothing_else(words: tuple[str, ...], within: Any) -> None:
    found = ids(*words)
    assert found
    assert all(within(load_preset(name)) for name in found)


def test_filters_add_up_and_the_summary_says_how_many_are_left() -> None:
    both = ids("--trust", "vendor-code", "--scheme", "public-key")
    assert both == [
        name for name in ids("--trust", "vendor-code") if name in ids("--scheme", "public-key")
    ]
    note = presets("--trust", "vendor-code", "--scheme", "public-key").stderr
    assert note == f"{len(both)} of {len(preset_names())} presets.\n"


def test_a_scheme_that_there_is_not_is_wrong_usage_and_the_nearest_is_offered() -> None:
    result = presets("--scheme", "hmac-bodi")
    assert (result.exit_code, "did you mean 'hmac-body'" in result.stderr) == (2, True)


def test_the_tables_of_a_page_are_filled_in_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- generated: families -->\nas it was\n<!-- end -->\nb\n")
    assert presets("list", "--write", str(page)).exit_code == 0
    text = page.read_text()
    assert all(f"| `{word}` |" in text for word in FAMILIES)
    assert (text[:2], text[-3:], "as it was" in text) == ("a\n", "\nb\n", False)
    assert with_tables(text, [(name, load_preset(name)) for name in preset_names()]) == text


# show


@every_preset
def test_a_preset_is_told_in_full(name: str) -> None:
    preset, text = load_preset(name), shown(name)
    assert all(link in text for link in preset.links)
    assert " ".join(preset.notes.split()) in text
    assert f'preset = "{name}"' in text
    assert all(about.about in text for about in preset.options.values())
    assert all(proof in text for proof in (" ".join(each.split()) for each in proof_sentences(preset)))


@every_preset
def test_the_file_to_copy_is_a_source_that_says_all_that_must_be_said(
    name: str, tmp_path: Path
) -> None:
    preset = load_preset(name)
    path = tmp_path / f"{name}.toml"
    path.write_text(sample_source(name, preset), encoding="utf-8")
    faults: list[Any] = []
    file = read_file(path, SourceFile, faults)
    assert (faults, file is not None) == ([], True)
    assert file
    environ = {text.removeprefix("env:"): "S3cret of 20 bytes!!" for text in file.options.values()}
    _, faults = load_options(preset.options, file.options, environ, name)
    assert not faults
    needs_none = preset.verify.scheme == "unverified" or key_source_of(preset.verify) is not None
    taught = any(each.learn for each in preset.handshakes)
    assert bool(file.secrets) is not (needs_none or taught)
    assert bool(file.public_url) is signs_url(preset.verify)


@every_preset
def test_an_option_that_is_commented_out_could_be_written_as_it_stands(name: str) -> None:
    text = sample_source(name, load_preset(name)).replace("\n# ", "\n")
    if load_preset(name).options:
        assert set(tomllib.loads(text)["options"]) == set(load_preset(name).options)


@every_preset
def test_every_option_that_a_preset_names_is_asked_for(name: str) -> None:
    preset = load_preset(name)
    named = {each.name for text in texts(preset.model_dump()) for each in references(text)}
    assert named <= set(preset.options)


def texts(value: Any) -> list[str]:
    inner = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    )
    keys = [key for key in value if isinstance(key, str)] if isinstance(value, dict) else []
    own = [value] if isinstance(value, str) else []
    return own + keys + [text for each in inner for text in texts(each)]


def references(text: str) -> list[Any]:
    try:
        found = compile_template(text.replace("{key_id}", "")).references()
    except TemplateError:
        return []
    return [each for each in found if each.kind == "config"]


def test_a_proof_is_told_in_words() -> None:
    text = shown("stripe")
    assert "An HMAC (SHA-256) of {ts}.{body}." in text
    assert "in the header Stripe-Signature, in hex, among pairs such as v1=SIGNATURE." in text
    assert "More than 5m away from our clock, a request is refused." in text
    assert "The proof covers the whole body." in text
    assert "The id is not signed" in shown("github")
    assert "whoever has seen one request can write others" in shown("telegram")


def test_handshakes_are_told_in_words() -> None:
    text = shown("slack")
    assert (
        'A POST request with type = "url_verification" in its JSON, if its signature holds: answered'
        in text
    )
    asana = shown("asana")
    assert "only after `hookline handshake arm SOURCE`" in asana
    assert "# no secrets: run `hookline handshake arm asana`" in asana


def test_an_environment_variable_never_begins_with_a_digit() -> None:
    assert "env:HOOKS_360LEARNING_WEBHOOK_SECRET" in shown("360learning")


def test_lines_are_no_wider_than_the_terminal_but_for_what_must_be_copied() -> None:
    lines = presets("show", "whatsapp-meta", COLUMNS="80").stdout.splitlines()
    wide = [line.strip() for line in lines if len(line) > 80]
    assert all(line.startswith(("https://", "verify_token = ")) for line in wide)


def test_an_unknown_preset_is_not_found_and_the_nearest_is_offered() -> None:
    result = presets("show", "strip")
    assert (result.exit_code, "did you mean 'stripe'" in result.stderr) == (3, True)


def test_one_that_stayed_out_is_not_found_and_told_why() -> None:
    group = left_out()[0]
    result = presets("show", next(iter(group.providers)))
    assert (result.exit_code, group.why in result.stderr) == (3, True)
    assert "No preset is named" not in result.stderr
