"""Parameters, sorted and joined. A repeated name is refused unless its provider says how to sign it:
readers disagree on which value counts, and one of them would be unsigned."""

import hashlib
from typing import Final

from gateway.core.canonical.urls import configured
from gateway.core.fields import MISSING, Fields, parse_pairs

Pairs = list[tuple[bytes, bytes]]
VONAGE_REPLACED: Final = bytes.maketrans(b"&=", b"__")


def sorted_form(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Mandrill: name and value of each form field, sorted by name; empty for an empty body.

    https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
    """
    if not fields.request.body:
        return b""
    pairs = fields.pairs()
    return _joined(sorted(pairs)) if pairs is not None and _unique(pairs) else None


def twilio_form(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Twilio: name and value of each form field, sorted; of a repeated one each value once.

    A body that is no form is covered by its digest in the signed URL, and adds nothing itself.
    https://github.com/twilio/twilio-python/blob/main/twilio/request_validator.py
    """
    if not fields.request.body:
        return b""
    pairs = fields.pairs()
    if pairs is not None:
        return _joined(sorted(set(pairs)))
    # Looked up in the URL that is signed: the query need not be all in there.
    _, _, query = (configured(fields) or b"").partition(b"?")
    digest = dict(parse_pairs(query) or ()).get(b"bodySHA256")
    return b"" if digest == hashlib.sha256(fields.request.body).hexdigest().encode() else None


def vonage_sms(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Vonage signed SMS webhooks: ``&name=value`` of each parameter but `sig`, sorted by name.

    The parameters are the body's, form or JSON; those of the query when there is no body.
    https://developer.vonage.com/en/getting-started/concepts/signing-messages
    """
    pairs = _parameters(fields)
    # A value's & and = are replaced, a name's are not: one such name could pass for two parameters.
    if not pairs or not _unique(pairs) or any(b"&" in name or b"=" in name for name, _ in pairs):
        return None
    signed = sorted(pair for pair in pairs if pair[0] != b"sig")
    return b"".join(b"&" + name + b"=" + value.translate(VONAGE_REPLACED) for name, value in signed)


def plivo_v3(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Plivo V3: the URL with its query sorted, a POST's form fields sorted, and the nonce.

    https://github.com/plivo/plivo-python/blob/master/plivo/utils/signature_v3.py
    """
    nonce = fields.request.headers.one(b"x-plivo-signature-v3-nonce")
    base, _, query = (configured(fields) or b"").partition(b"?")
    asked = parse_pairs(query)
    form = fields.pairs() if fields.request.body else []
    if not nonce or not base or asked is None or form is None:
        return None
    if form and fields.request.method == "GET":  # whose body nothing covers
        return None
    if asked or form:
        base += b"?" + b"&".join(name + b"=" + value for name, value in sorted(asked))
    if form:
        base += b"." * bool(asked) + _joined(sorted(form))
    return base + b"." + nonce


def _unique(pairs: Pairs) -> bool:
    return len({name for name, _ in pairs}) == len(pairs)


def _joined(pairs: Pairs) -> bytes:
    return b"".join(name + value for name, value in pairs)


def _parameters(fields: Fields) -> Pairs | None:
    if not fields.request.body:
        return parse_pairs(fields.request.query)
    value = fields.json()
    if value is MISSING:
        return fields.pairs()
    # Only text looks the same in every language.
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        return None
    return [(_utf8(name), _utf8(each)) for name, each in value.items()]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
