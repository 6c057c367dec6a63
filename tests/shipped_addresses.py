"""The presets whose published addresses ship with the gateway."""

from importlib.resources import files

from gateway.addresses import FOLDER


def shipped_names() -> tuple[str, ...]:
    names = (entry.name for entry in files("gateway.presets").joinpath(FOLDER).iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))
