"""The catalogue: provider facts as data, in `presets/*.toml`, and the tables that describe them.

A preset says how a provider proves origin, where the event's id and type are, and how it behaves
as a sender. A source's own file uses the same tables.
"""

from gateway.catalogue.answers import Acknowledge, HandshakeFile
from gateway.catalogue.keys import KeySourceFile
from gateway.catalogue.preset import (
    Identity,
    Option,
    Preset,
    Sender,
    SourceDefaults,
    load_preset,
    preset_names,
)
from gateway.catalogue.proof import Verify, key_source_of
from gateway.catalogue.signature import SignatureVerify, SignedTime
from gateway.catalogue.strict import Options, Strict
from gateway.catalogue.tokens import BasicAuthVerify, JwtVerify, TokenVerify, UnverifiedVerify

__all__ = [
    "Acknowledge",
    "BasicAuthVerify",
    "HandshakeFile",
    "Identity",
    "JwtVerify",
    "KeySourceFile",
    "Option",
    "Options",
    "Preset",
    "Sender",
    "SignatureVerify",
    "SignedTime",
    "SourceDefaults",
    "Strict",
    "TokenVerify",
    "UnverifiedVerify",
    "Verify",
    "key_source_of",
    "load_preset",
    "preset_names",
]
