"""Other spellings of the public URL: a provider may sign one that is not as it was configured."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.core.fields import Fields

# Scheme, authority but for the port, port, and the rest. The port's digits follow no other colon
# than that of a bracketed IPv6 address.
URL: Final = re.compile(
    rb"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>(?:[^/?#@]*@)?(?:\[[^\]/?#]*\]|[^:/?#@]*))"
    rb"(?P<port>:[0-9]+)?(?P<rest>[/?#].*)?",
    re.DOTALL,
)
HUBSPOT_DECODED: Final = re.compile(rb"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def configured(fields: Fields) -> bytes | None:
    """The public URL with its query; None, whatever the query, when no URL is configured."""
    return fields.url() if fields.request.url else None


def url_without_port(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Twilio: its side may sign the URL without the port that it was configured with.

    https://github.com/twilio/twilio-python/blob/main/twilio/request_validator.py
    """
    found = URL.fullmatch(configured(fields) or b"")
    return found["scheme"] + b"://" + found["host"] + (found["rest"] or b"") if found else None


def url_with_port(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Twilio: its side may sign the URL with the default port, 443 of https and else 80, spelled out.

    https://github.com/twilio/twilio-python/blob/main/twilio/request_validator.py
    """
    found = URL.fullmatch(configured(fields) or b"")
    if not found:
        return None
    scheme, host, port = found.group("scheme", "host", "port")
    default = b":443" if scheme.lower() == b"https" else b":80"
    return scheme + b"://" + host + (port or default) + (found["rest"] or b"")


def url_decoded(fields: Fields, _secret: bytes | None) -> bytes | None:
    """HubSpot v3: the URL with twelve percent-encoded characters decoded, and no other.

    https://developers.hubspot.com/docs/api/webhooks/validating-requests
    """
    url = configured(fields)
    return url and HUBSPOT_DECODED.sub(lambda found: unquote_to_bytes(found[0]), url)
