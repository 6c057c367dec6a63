"""The body, or what is signed of it."""

import re
from typing import Final

from gateway.core import json_slices
from gateway.core.fields import Fields

# What Box escapes; a backslash before a slash is left as it is.
BOX_BACKSLASH: Final = re.compile(r"\\(?!/)")
BOX_NAMED: Final = (("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t"))
BOX_NUMBERED: Final = re.compile(r"[^\x20-\x7e]+")

SNS_NOTIFICATION: Final = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
SNS_CONFIRMATION: Final = (
    *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
)
SNS_SIGNED: Final = {
    b"Notification": SNS_NOTIFICATION,
    b"SubscriptionConfirmation": SNS_CONFIRMATION,
    b"UnsubscribeConfirmation": SNS_CONFIRMATION,
}


def first_item(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Segment, legacy X-Signature: of a batch only the first element, else the body.

    Nothing covers the batch's other elements.
    https://github.com/segmentio/action-destinations/blob/main/packages/destination-actions/src/destinations/webhook/index.ts
    """
    body = fields.request.body
    return json_slices.first(body) if isinstance(fields.json(), list) else body


def json_escaped(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Box: the body with all but printable ASCII as ``\\uXXXX``, and backslashes doubled.

    https://github.com/box/box-python-sdk/blob/main/box_sdk_gen/internal/utils.py
    """
    try:
        text = fields.request.body.decode()
    except UnicodeDecodeError:
        return None
    text = BOX_BACKSLASH.sub(r"\\\\", text)
    for character, escaped in BOX_NAMED:
        text = text.replace(character, escaped)
    return BOX_NUMBERED.sub(lambda found: _numbered(found[0]), text).encode()


def _numbered(run: str) -> str:
    return "\\u" + run.encode("utf-16-be").hex("u", 2).replace("u", "\\u")


def unisender(fields: Fields, secret: bytes | None) -> bytes | None:
    """Unisender Go: the body with the API key in the place of the text in its `auth`.

    Hashed with plain MD5, of which an extension can be forged, but not one that is still JSON.
    https://godocs.unisender.ru/web-api-ref#webhook-format
    """
    found = json_slices.cut(fields.request.body, "auth")
    if secret is None or found is None or not isinstance(found[1], str):
        return None
    before, _, after = found
    return before + b'"' + secret + b'"' + after


def sns(fields: Fields, _secret: bytes | None) -> bytes | None:
    """Amazon SNS: a name and a value per line, which ones depends on the type of message.

    https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
    """
    names = SNS_SIGNED.get(fields.lookup("json", "Type") or b"")
    if names is None:
        return None
    values = {name: fields.lookup("json", name) for name in names}
    if any(value is None for name, value in values.items() if name != "Subject"):
        return None
    lines = [
        b"%b\n%b\n" % (name.encode(), value) for name, value in values.items() if value is not None
    ]
    return b"".join(lines)
