"""Configured senders: the file of one, and the checked source that it becomes."""

from gateway.sources.build import build_source, retry_policy
from gateway.sources.builtin import build_builtin
from gateway.sources.builtin_file import ForwardFile
from gateway.sources.file import NAME, SourceFile
from gateway.sources.proof import is_unverified, secret_values

__all__ = [
    "NAME",
    "ForwardFile",
    "SourceFile",
    "build_builtin",
    "build_source",
    "is_unverified",
    "retry_policy",
    "secret_values",
]
