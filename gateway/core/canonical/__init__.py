"""What a provider signs that no template can say, by name: ``{canonical.sorted_form}``.

Each is a pure function of a request's fields, and of the secret where that is among the signed bytes.
Total for any bytes. None: the request has no such thing, or has it in a way that leaves a part of it
unsigned; a template with it is then missing, and the request refused.
"""

from collections.abc import Callable
from typing import Final

from gateway.core.canonical import bodies, forms, requests, urls
from gateway.core.canonical.jcs import jcs
from gateway.core.fields import Fields

Canonical = Callable[[Fields, bytes | None], bytes | None]

CANONICAL: Final[dict[str, Canonical]] = {
    "sorted_form": forms.sorted_form,
    "twilio_form": forms.twilio_form,
    "vonage_sms": forms.vonage_sms,
    "plivo_v3": forms.plivo_v3,
    "url_without_port": urls.url_without_port,
    "url_with_port": urls.url_with_port,
    "url_decoded": urls.url_decoded,
    "first_item": bodies.first_item,
    "json_escaped": bodies.json_escaped,
    "unisender": bodies.unisender,
    "sns": bodies.sns,
    "jcs": jcs,
    "contentful": requests.contentful,
    "hygraph": requests.hygraph,
}
