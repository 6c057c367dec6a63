"""`python -m gateway` is `hookline`."""

from gateway.cli import main

main(prog_name="hookline")
