"""Secrets and personal data planted everywhere, and a search for them: `scripts/chaos canary`."""
