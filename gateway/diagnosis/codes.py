"""What a diagnosis can find: a closed list with stable names, explained in docs/operations.md."""

from enum import StrEnum


class Code(StrEnum):
    """The word in `--json` and in the docs."""

    # The secret
    WRONG_SECRET = "wrong_secret"
    SECRET_SPACES = "secret_spaces"
    SECRET_QUOTED = "secret_quoted"
    SECRET_PREFIX = "secret_prefix"
    SECRET_ENCODING = "secret_encoding"
    SECRET_KIND = "secret_kind"
    SECRET_UNUSABLE = "secret_unusable"
    OTHER_SECRET = "other_secret"
    OTHER_SOURCE = "other_source"
    OTHER_PRESET = "other_preset"
    TEST_MODE = "test_mode"
    # The body
    BODY_WHITESPACE = "body_whitespace"
    BODY_KEY_ORDER = "body_key_order"
    BODY_ESCAPES = "body_escapes"
    BODY_NUMBERS = "body_numbers"
    BODY_FORM = "body_form"
    BODY_COMPRESSION = "body_compression"
    BODY_NEWLINE = "body_newline"
    BODY_LINE_ENDS = "body_line_ends"
    BODY_BOM = "body_bom"
    BODY_CHARSET = "body_charset"
    BODY_WRAPPED = "body_wrapped"
    BODY_EMPTY = "body_empty"
    BODY_CUT = "body_cut"
    # The signature and other headers
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_DUPLICATED = "signature_duplicated"
    SIGNATURE_MALFORMED = "signature_malformed"
    SIGNATURE_ENCODING = "signature_encoding"
    SIGNATURE_DIGEST = "signature_digest"
    SIGNATURE_PREFIX = "signature_prefix"
    SIGNATURE_CUT = "signature_cut"
    SIGNATURE_OLD_VERSION = "signature_old_version"
    HEADER_RENAMED = "header_renamed"
    HEADER_CHANGED = "header_changed"
    PART_MISSING = "part_missing"
    # The URL
    URL_UNKNOWN = "url_unknown"
    URL_SCHEME = "url_scheme"
    URL_HOST = "url_host"
    URL_PORT = "url_port"
    URL_PATH = "url_path"
    URL_QUERY = "url_query"
    # Time
    STALE = "stale"
    CLOCK_BEHIND = "clock_behind"
    TIME_UNIT = "time_unit"
    TIME_MISSING = "time_missing"
    # Tokens
    TOKEN_PREFIX = "token_prefix"
    TOKEN_PLACE = "token_place"
    TOKEN_SWAPPED = "token_swapped"
    TOKEN_ALGORITHM = "token_algorithm"
    TOKEN_CLAIM = "token_claim"
    # Neither
    NOTHING_PROVEN = "nothing_proven"
