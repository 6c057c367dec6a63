"""Measures of Hookline against other ways of receiving the same webhooks; see README.md here."""
