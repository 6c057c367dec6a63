"""`scripts/chaos overload`: what one source, or anybody, can do to the requests of another source."""
