"""A Valkey of our own, for development, demo and tests."""
