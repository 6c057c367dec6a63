"""Configured senders: the file of one, and the checked source that it becomes."""

from gateway.sources.build import build_source, retry_policy
from gateway.sources.file import NAME, SourceFile
from gateway.sources.proof import is_unverified, secret_values

__all__ = [
    "NAME",
    "SourceFile",
    "build_source",
    "is_unverified",
    "retry_policy",
    "secret_values",
]
