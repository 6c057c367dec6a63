"""Where a provider lists the addresses that it sends from: a preset's `[addresses]`."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.catalogue.strict import Strict

HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s/@]+/\S*$")]


class PublishedAddresses(Strict):
    """What `hookline addresses refresh` fetches, and where a person can read it."""

    page: HttpsUrl
    """The provider's own page about them."""
    urls: tuple[HttpsUrl, ...] = ()
    """Lists for machines, taken together. Empty: nothing can be refreshed."""
    form: Literal["json", "lines"] = "json"
    path: tuple[str, ...] = ()
    """Where the networks are in the JSON: keys, and `*` for each element."""
    where: dict[str, str] = {}
    """Of the elements only those objects that say this of themselves."""
    notes: str = ""
