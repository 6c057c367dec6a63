"""Public-key signatures, by the `cryptography` package: imported on first use, so that a deployment
whose providers all sign with shared secrets needs none of it.
"""


class ExtraMissing(Exception):  # noqa: N818 - says what is missing
    """An optional package is not installed. The message says how to install it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package → pip install 'hookline[{extra}]'")
