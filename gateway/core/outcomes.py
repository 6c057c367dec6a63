"""Every way a request, an attempt or a delivery can end: closed lists with stable names.

The value of each member is the word in logs, metrics, the command line and the docs.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """How one request ended."""

    __hash__ = str.__hash__  # Enum's own is not C, and this is looked up several times a request

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    SPOOLED = "spooled"
    IGNORED = "ignored"
    HANDSHAKE = "handshake"
    REFUSED = "refused"
    FLOODED = "flooded"
    RATE_LIMITED = "rate_limited"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    HEADERS_TOO_LARGE = "headers_too_large"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    DISCONNECTED = "disconnected"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"

    @property
    def ours(self) -> bool:
        """True when we are to blame, not the sender: logged as an error."""
        return self in (Outcome.OVERLOADED, Outcome.UNAVAILABLE, Outcome.INTERNAL_ERROR)


class Refusal(StrEnum):
    """Why origin was not proven. Told to logs and metrics, never to the caller."""

    UNKNOWN_SOURCE = "unknown_source"
    ADDRESS_FORBIDDEN = "address_forbidden"
    ADDRESS_UNKNOWN = "address_unknown"
    MISSING_SIGNATURE = "missing_signature"
    DUPLICATED_SIGNATURE = "duplicated_signature"
    MALFORMED_SIGNATURE = "malformed_signature"
    MISSING_TIMESTAMP = "missing_timestamp"
    MALFORMED_TIMESTAMP = "malformed_timestamp"
    MISSING_SIGNED_PART = "missing_signed_part"
    MISSING_KEY_ID = "missing_key_id"
    MALFORMED_KEY_ID = "malformed_key_id"
    KEY_NOT_ALLOWED = "key_not_allowed"
    UNKNOWN_KEY = "unknown_key"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    SIGNATURE_MISMATCH = "signature_mismatch"
    CLAIM_MISMATCH = "claim_mismatch"
    STALE_TIMESTAMP = "stale_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"


class Ignored(StrEnum):
    """Why a verified event was not stored, where it is not that no processor takes its type."""

    FILTERED = "filtered"


class Absence(StrEnum):
    """Why the ledger took nothing: the reason of `unavailable`. Told to logs and metrics."""

    UNREACHABLE = "unreachable"
    NO_ANSWER = "no_answer"
    ACCESS_DENIED = "access_denied"
    LOADING = "loading"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FAULT = "disk_fault"
    READ_ONLY = "read_only"
    TOO_FEW_REPLICAS = "too_few_replicas"
    SERVER_ERROR = "server_error"


class Overload(StrEnum):
    """Why there is no room for a request now: the reason of `overloaded`. Told to logs and metrics."""

    BODIES_HELD = "bodies_held"
    BACKLOG_FULL = "backlog_full"
    MEMORY_SHORT = "memory_short"


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    RETRY_ASKED = "retry_asked"
    DEFERRED = "deferred"
    DISCARDED = "discarded"
    GAVE_UP = "gave_up"
    PAYLOAD_MISMATCH = "payload_mismatch"
    PROCESSOR_MISSING = "processor_missing"
    CRASHED = "crashed"
    RELEASED = "released"


class DeadReason(StrEnum):
    """Why a delivery will not be tried again by itself."""

    EXHAUSTED = "exhausted"
    DISCARDED = "discarded"
    GAVE_UP = "gave_up"
    POISON = "poison"
    ABANDONED = "abandoned"
    PAYLOAD_MISMATCH = "payload_mismatch"
    PROCESSOR_MISSING = "processor_missing"
    BODY_MISSING = "body_missing"


class DeliveryState(StrEnum):
    """`blocked`: behind another delivery of its key."""

    PENDING = "pending"
    BLOCKED = "blocked"
    LEASED = "leased"
    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"


class Acceptance(StrEnum):
    """What the ledger says to a verified event: stored now, or what became of the first one."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"
    REVIVED = "revived"
