"""Gateways that are restarted under load, and an account of every connection."""
