"""Fuzzing every preset's scheme: strangers' bytes, and genuine requests with something changed."""
