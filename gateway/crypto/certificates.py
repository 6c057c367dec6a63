"""X.509 certificates that providers sign with: whose they are, and whether they are valid now.

Their chain is not checked: they come over TLS from an allow-listed host, which vouches for them.
"""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.crypto import ExtraMissing
from gateway.crypto.jwk import WHAT, is_fit

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def read_certificate(text: bytes, now: float, subject: str = "") -> bytes | None:
    """The first certificate in `text`, as PEM; the rest is its chain.

    None when there is none, when it is not valid at `now` (Unix seconds), has a key that we do not
    verify with, or no name that `subject` matches in full ("": any). Raises ExtraMissing.
    """
    try:
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.x509 import load_pem_x509_certificate

        certificate = load_pem_x509_certificate(text)
        if not (_is_valid(certificate, now) and is_fit(certificate.public_key())):
            return None
        if subject and not any(re.fullmatch(subject, name) for name in _names(certificate)):
            return None
        return certificate.public_bytes(Encoding.PEM)
    except ImportError as error:
        raise ExtraMissing(WHAT, "public-keys") from error
    except Exception:  # from outside, and cryptography has many words for "no certificate"
        return None


def _is_valid(certificate: "Certificate", now: float) -> bool:
    moment = datetime.fromtimestamp(now, UTC)
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def _names(certificate: "Certificate") -> list[str]:
    """The common names and the DNS names, in lower case."""
    from cryptography.x509 import DNSName, ExtensionNotFound, SubjectAlternativeName
    from cryptography.x509.oid import NameOID

    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = [str(each.value).lower() for each in common]
    try:
        others = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return names
    return [*names, *(name.lower() for name in others.get_values_for_type(DNSName))]
