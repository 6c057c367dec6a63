"""The models of `[[processors]]` in a source's file: processors that need no code."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.catalogue import Strict
from gateway.catalogue.strict import HeaderName, Text
from gateway.sources.when import When
from gateway.units import Duration, NetworkText

ProcessorName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
ExitStatus = Annotated[int, Field(ge=1, le=125)]
HttpStatus = Annotated[int, Field(ge=400, le=599)]


class BuiltInFile(Strict):
    """What every one of them has."""

    name: ProcessorName | None = None
    """Under which the ledger knows it; default: the source, a dot and `run`, numbered from the second
    on. Give one where there are several."""
    events: Annotated[tuple[Text, ...], Field(min_length=1)] = ("*",)
    """Globs over the event's type."""
    when: When | None = None
    """A condition: what does not fulfil it is not for this processor."""
    timeout: Duration | None = None
    """For one attempt; default: the source's attempt_timeout."""


class ForwardFile(BuiltInFile):
    """POST the body to a URL, as it was signed."""

    run: Literal["forward"]
    url: Text
    """A URL, or a reference to one that holds a token. https, unless it is this machine's."""
    secret: Text | tuple[Text, ...] = ()
    """References; what is sent is signed with each of them, by Standard Webhooks."""
    headers: tuple[HeaderName, ...] = ()
    """Headers of the event that go along, beside its content type."""
    add: dict[HeaderName, Text] = Field(default_factory=dict)
    """Headers of ours; a value may be a reference, and a secret one must be."""
    insecure: bool = False
    """Allows http:// to another machine: whoever is on the way reads and changes what is sent."""
    private_networks: tuple[NetworkText, ...] = ()
    """Networks that the receiver may be in although they are not the open internet's."""
    discard_on: tuple[HttpStatus, ...] = (410,)
    """Answers that no later attempt could change: a dead letter at once."""


class LogFile(BuiltInFile):
    """Write one line to the log."""

    run: Literal["log"]
    fields: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    """Paths of values to write: into the JSON body, `header:NAME`, or `type`."""


class AppendFile(BuiltInFile):
    """Append one line of JSON to a file."""

    run: Literal["append"]
    file: Text
    """Relative to the working directory; its directory must be there."""
    headers: tuple[HeaderName, ...] = ()
    """Headers of the event that are written, too."""


class ExecFile(BuiltInFile):
    """Run a program with the body on its standard input."""

    run: Literal["exec"]
    command: Annotated[tuple[Text, ...], Field(min_length=1)]
    """The program and its arguments: no shell reads them."""
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        default_factory=dict
    )
    """It gets these beside PATH and HOOKLINE_EVENT_..., and no others; a value may be a reference."""
    discard_on: tuple[ExitStatus, ...] = (65,)
    """Exit statuses that no later attempt could change: a dead letter at once."""
    retry_after: Duration = 60.0
    """When the next attempt runs after exit status 75."""


ProcessorFile = Annotated[ForwardFile | LogFile | AppendFile | ExecFile, Field(discriminator="run")]
