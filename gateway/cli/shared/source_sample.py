"""The file of a source that uses a preset, ready to be copied: what must be given, and what may be."""

import json

from gateway.catalogue import Preset, UnverifiedVerify, key_source_of
from gateway.catalogue.keys import KeyTable
from gateway.catalogue.tokens import BasicAuthVerify
from gateway.options import signs_url


def sample_source(name: str, preset: Preset) -> str:
    """`config/sources/NAME.toml`; options that may be left out are commented out."""
    lines = [f'preset = "{name}"', *_secrets(name, preset)]
    if signs_url(preset.verify):
        lines.append(
            f'public_url = "https://hooks.example.com/hooks/{name}" # signed: as the provider has it'
        )
    required = {key: option for key, option in preset.options.items() if option.default is None}
    if preset.options:
        lines += ["", "[options]" if required else "# [options]"]
    for key, option in preset.options.items():
        given = "..." if option.default is None else option.default
        value = f"env:{_variable(name, key)}" if option.secret else given
        mark = "" if key in required else "# "
        lines.append(f"{mark}{key} = {json.dumps(value)} # {option.about}")
    return "\n".join(lines)


def _secrets(name: str, preset: Preset) -> list[str]:
    verify = preset.verify
    if isinstance(verify, UnverifiedVerify) or key_source_of(verify):
        return []
    if any(each.learn for each in preset.handshakes):
        return [f"# no secrets: run `hookline handshake arm {name}`, then create the webhook"]
    if isinstance(verify, BasicAuthVerify):
        return [f'secrets = ["env:{_variable(name, "credentials")}"] # user:password']
    if isinstance(verify, KeyTable) and _is_public(verify):
        return [f'secrets = ["env:{_variable(name, "public_key")}"] # the public key']
    return [f'secrets = ["env:{_variable(name, "webhook_secret")}"]']


def _is_public(verify: KeyTable) -> bool:
    named = getattr(verify, "algorithm", None) or next(iter(getattr(verify, "algorithms", ())), "")
    return bool(named) and not named.startswith(("hmac-", "hash-", "HS"))


def _variable(name: str, what: str) -> str:
    """An environment variable, whose name must not begin with a digit."""
    text = f"{name}_{what}".upper().replace("-", "_")
    return f"HOOKS_{text}" if text[0].isdigit() else text
