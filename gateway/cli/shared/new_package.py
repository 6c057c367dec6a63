"""A package of processors: its project file with the entry point, its module, its test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway import samples
from gateway.cli.shared.examples import samples_of
from gateway.cli.shared.naming import configured_sources, module_name, slug, source_or_mend
from gateway.cli.shared.new_files import Made
from gateway.cli.shared.scaffold import Draft, Wish, body_text, draft_of, processor_text
from gateway.cli.shared.scaffold_test import text_of_test

PROJECT: Final = """[build-system]
requires = ["hatchling>=1.27,<2"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.1.0"
description = "Processors for Hookline."
requires-python = ">=3.11"
dependencies = ["hookline"]

[project.optional-dependencies]
test = ["pytest>=9"]

# By this Hookline finds them, once the package is installed where it runs.
[project.entry-points."gateway.processors"]
{module} = "{module}:registry"

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]

[tool.pytest.ini_options]
pythonpath = ["src"]
"""


def package_files(directory: Path, source: str | None) -> Mapping[Path, tuple[str, str]]:
    """Texts, and what each file is. Wrong usage for a name that no package can have."""
    module = module_name(slug(directory.name), "NAME")
    draft = _draft(module, source)
    test = directory / "tests" / f"test_{module}.py"
    name = module.replace("_", "-")
    texts = {
        directory / "pyproject.toml": (PROJECT.format(name=name, module=module), "the entry point"),
        directory / "src" / module / "__init__.py": (processor_text(draft), "the processor"),
        directory / "src" / module / "py.typed": ("", "its types are for others too"),
        test: (text_of_test(draft), "its test"),
    }
    if draft.body_file:
        texts[test.with_suffix(draft.body_file)] = (body_text(draft), "a body for the test")
    return texts


def _draft(module: str, source: str | None) -> Draft:
    """For the source that is named, else for the first configured one that has samples."""
    if source:
        preset = source_or_mend(source).preset
    else:
        found = [(name, file.preset) for name, file in configured_sources().items()]
        sampled = [pair for pair in found if pair[1] in samples.presets()]
        source, preset = next(iter(sampled), ("github", "github"))
    examples = samples_of(preset, "*")
    events = examples.type or "*"
    wish = Wish(module, source, events, module, preset)
    return draft_of(wish, samples_of(preset, events))


def made_package(directory: Path, texts: Mapping[Path, tuple[str, str]]) -> Made:
    module = module_name(slug(directory.name), "NAME")
    steps = [
        (f"python -m pytest {directory}", "passes already"),
        (f"pip install -e {directory}", "where hookline is installed"),
        ("hookline plugins", f"lists {module}"),
    ]
    return Made({path: what for path, (_, what) in texts.items()}, {"name": module}, [], steps)
