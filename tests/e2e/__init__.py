"""End-to-end tests: real processes, real sockets, a real server."""
