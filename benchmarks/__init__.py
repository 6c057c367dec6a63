"""Measures of Hookline beside other ways of receiving and processing webhooks; see README.md here."""
