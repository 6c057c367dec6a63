"""Signs of a wrong secret that providers document: what a secret begins with, what a test says."""

from collections.abc import Iterator
from typing import Final

from gateway.core.fields import Fields
from gateway.core.template import reference_of, resolve
from gateway.diagnosis.case import Case, Finding
from gateway.diagnosis.codes import Code

# What begins so is another kind of credential than the secret of a webhook.
KINDS: Final = {
    b"sk_live_": "an API key of Stripe",
    b"sk_test_": "a test API key of Stripe",
    b"rk_live_": "a restricted API key of Stripe",
    b"rk_test_": "a restricted test API key of Stripe",
    b"pk_live_": "a publishable key of Stripe",
    b"pk_test_": "a publishable test key of Stripe",
    b"ghp_": "an access token of GitHub",
    b"gho_": "an access token of GitHub",
    b"ghs_": "an access token of GitHub",
    b"github_pat_": "an access token of GitHub",
    b"glpat-": "an access token of GitLab",
    b"shpat_": "an access token of Shopify",
    b"xoxb-": "a bot token of Slack",
    b"xoxp-": "a user token of Slack",
    b"xapp-": "an app token of Slack",
    b"SG.": "an API key of SendGrid",
    b"EAAA": "an access token of Square",
}
# Where a request says that it is a test's, and the words.
TESTS: Final = (
    ("json.livemode", b"false"),
    ("json.live", b"false"),
    ("header.X-Shopify-Test", b"true"),
    ("header.square-environment", b"sandbox"),
    ("json.test", b"true"),
    ("json.test_mode", b"true"),
    ("json.sandbox", b"true"),
    ("json.environment", b"sandbox"),
    ("json.meta.test_mode", b"true"),
)


def kind_of_secret(case: Case) -> Iterator[Finding]:
    for each in case.secrets:
        kind = next((said for start, said in KINDS.items() if each.value.startswith(start)), None)
        if kind:
            text = f"{each.reference} is not the secret of a webhook: it begins like {kind}."
            mend = (
                "Copy the signing secret from the page of this webhook; treat the other one with care."
            )
            yield Finding(Code.SECRET_KIND, text, mend, False)


def test_mode(case: Case) -> Iterator[Finding]:
    fields = Fields(case.request)
    for name, value in TESTS:
        said = resolve(reference_of(name), fields)
        if said is not None and said.lower() == value:
            text = f"This is a test ({name} is {value.decode()}): tests have a secret of their own."
            mend = "Add the secret of the test endpoint beside it, or give tests a source of their own."
            yield Finding(Code.TEST_MODE, text, mend, False)
            return
