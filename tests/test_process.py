"""Flow 2: how the end of a call becomes what is recorded, and what operators read about it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydantic import BaseModel, field_validator

from gateway.core.delivery import Finish
from gateway.core.outcomes import AttemptOutcome, DeadReason
from gateway.core.retry import Dead, Done, RetryPolicy, Wait
from gateway.plugins import Defer, Discard, Event, Registry, Retry, RetryAfter
from gateway.process import (
    MAX_TRACE,
    AttemptTimeout,
    NotBegun,
    ProcessorMissing,
    Ready,
    conclude,
    describe,
    prepare,
    where,
)
from tests.adapters.worker_rig import a_claim, a_processor, a_ready

POLICY = RetryPolicy(attempts=3, first_delay=10.0, factor=3.0)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HERE = Path(__file__)


class Invoice(BaseModel):
    amount: int
    customer: str

    @field_validator("customer")
    @classmethod
    def _known(cls, value: str) -> str:
        assert value != "nobody"
        return value


def ended(error: BaseException | None, attempt: int = 1, jitter: float = 0.5) -> Finish:
    return conclude(a_claim(attempt=attempt), error, POLICY, jitter=jitter, seconds=0.25, at=AT)


def caught(function: Callable[[], object]) -> BaseException:
    """What calling it raises, as a worker gets it."""
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def note_of(error: BaseException) -> dict[str, Any]:
    note: dict[str, Any] = json.loads(ended(error).error)
    return note


# What the author sees


def test_the_event_is_what_was_claimed() -> None:
    ready = a_ready(lambda event: None, body=b'{"n": 1}', attempt=2)
    event = ready.event
    assert (event.id, event.source, event.type, event.provider_id) == ("evt_abc", "github", "push", "1")
    assert (event.attempt, event.fence, event.body, event.payload) == (2, 2, b'{"n": 1}', {"n": 1})
    assert event.received_at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_a_repeated_header_is_joined_as_http_allows() -> None:
    assert a_ready(lambda event: None).event.headers == {"X-One": "1", "Accept": "a, b"}


def test_the_idempotency_key_is_the_same_for_every_attempt_and_differs_by_processor() -> None:
    first, second = (a_ready(lambda event: None, attempt=number).event for number in (1, 2))
    other = prepare(a_claim("other"), {"other": a_processor(lambda event: None, name="other")}, 1.0)
    assert isinstance(other, Ready)
    assert first.idempotency_key == second.idempotency_key != other.event.idempotency_key


def test_a_model_is_parsed_from_the_body() -> None:
    def bill(event: Event, invoice: Invoice) -> None: ...

    _, invoice = a_ready(bill, body=b'{"amount": 5, "customer": "c"}').arguments()
    assert invoice == Invoice(amount=5, customer="c")


def test_the_processors_own_time_limit_goes_before_the_sources() -> None:
    own = a_processor(lambda event: None, name="archive", timeout=timedelta(seconds=3))
    without = a_processor(lambda event: None, name="archive")
    limits = [prepare(a_claim(), {"archive": each}, 60.0) for each in (own, without)]
    assert [each.timeout for each in limits if isinstance(each, Ready)] == [3.0, 60.0]


def test_a_processor_that_is_gone_is_named() -> None:
    missing = prepare(a_claim("gone"), {}, 1.0)
    assert isinstance(missing, ProcessorMissing)
    assert "'gone'" in str(missing)


# What is decided

ENDINGS = [
    (None, AttemptOutcome.DONE, Done()),
    (RetryAfter(7), AttemptOutcome.RETRY_ASKED, Wait(7.0)),
    (RetryAfter(timedelta(minutes=2)), AttemptOutcome.RETRY_ASKED, Wait(120.0)),
    (Discard("unknown customer"), AttemptOutcome.DISCARDED, Dead(DeadReason.DISCARDED)),
    (ValueError("x"), AttemptOutcome.FAILED, Wait(5.0)),
    (SystemExit(3), AttemptOutcome.FAILED, Wait(5.0)),
    (KeyboardInterrupt(), AttemptOutcome.FAILED, Wait(5.0)),
    (AttemptTimeout("took longer"), AttemptOutcome.TIMED_OUT, Wait(5.0)),
    (ProcessorMissing("x"), AttemptOutcome.PROCESSOR_MISSING, Dead(DeadReason.PROCESSOR_MISSING)),
]


@pytest.mark.parametrize(("error", "outcome", "decision"), ENDINGS)
def test_every_way_to_end_has_its_outcome(
    error: BaseException | None, outcome: AttemptOutcome, decision: Any
) -> None:
    finish = ended(error)
    assert (finish.outcome, finish.decision) == (outcome, decision)
    assert (finish.delivery, finish.fence, bool(finish.error)) == ("dlv_abc-1", 1, error is not None)


def test_a_payload_that_does_not_fit_is_dead_at_once() -> None:
    def bill(event: Event, invoice: Invoice) -> None: ...

    finish = ended(caught(a_ready(bill, body=b'{"amount": "many"}').arguments))
    assert finish.outcome is AttemptOutcome.PAYLOAD_MISMATCH
    assert finish.decision == Dead(DeadReason.PAYLOAD_MISMATCH)


def by(error: BaseException, attempt: int = 1, **options: Any) -> Finish:
    """As `ended`, of a processor that was declared with these."""
    processor = a_processor(lambda event: None, name="archive", **options)
    claimed = a_claim(attempt=attempt)
    return conclude(claimed, error, POLICY, jitter=0.5, seconds=0.25, at=AT, processor=processor)


GAVE_UP = (AttemptOutcome.GAVE_UP, Dead(DeadReason.GAVE_UP))
FAILED = (AttemptOutcome.FAILED, Wait(5.0))
LISTED: dict[str, Any] = {"retry_on": [ConnectionError], "give_up_on": [LookupError]}
ASKED = (AttemptOutcome.RETRY_ASKED, Wait(7.0))
BOTH = ExceptionGroup("both", [ConnectionError(), KeyError()])


@pytest.mark.parametrize(
    ("error", "options", "end"),
    [
        (KeyError(), {"give_up_on": LookupError}, GAVE_UP),
        (ValueError(), {"give_up_on": LookupError}, FAILED),
        (ConnectionResetError(), LISTED, FAILED),
        (KeyError(), LISTED, GAVE_UP),
        (ValueError(), LISTED, GAVE_UP),
        (RetryAfter(7), LISTED, ASKED),
        (AttemptTimeout("x"), LISTED, (AttemptOutcome.TIMED_OUT, Wait(5.0))),
        (SystemExit(3), LISTED, FAILED),
        (NotBegun("no thread"), LISTED, FAILED),
        (ExceptionGroup("one", [ConnectionError()]), LISTED, FAILED),
        (BOTH, LISTED, GAVE_UP),
        (BOTH, {"retry_on": ConnectionError}, GAVE_UP),
        (BOTH, {}, FAILED),
    ],
)
def test_classes_of_errors_say_whether_to_try_again(
    error: BaseException, options: Any, end: Any
) -> None:
    finish = by(error, **options)
    assert (finish.outcome, finish.decision) == end


def test_a_processors_own_budget_and_schedule_hold() -> None:
    retry = Retry(schedule=[1, 60])
    ends = [by(ValueError(), attempt, retry=retry).decision for attempt in (1, 2, 3)]
    assert ends == [Wait(1.0), Wait(60.0), Dead(DeadReason.EXHAUSTED)]


def test_the_event_tells_the_budget_that_holds() -> None:
    own = a_processor(lambda event: None, name="archive", retry=Retry(attempts=2))
    without = a_processor(lambda event: None, name="archive")
    events = []
    for each in (own, without):
        ready = prepare(a_claim(attempt=2), {"archive": each}, 1.0, POLICY)
        assert isinstance(ready, Ready)
        events.append(ready.event)
    assert [(each.attempts, each.last_attempt) for each in events] == [(2, True), (3, False)]


@pytest.mark.parametrize(
    ("until", "delay"),
    [
        (timedelta(hours=2), 7200.0),
        (AT + timedelta(minutes=5), 300.0),
        (AT - timedelta(days=1), 1.0),
        (timedelta(0), 1.0),
        (timedelta(days=1000), 365 * 86400.0),
    ],
)
def test_a_deferral_is_no_attempt_and_lasts_a_second_to_a_year(until: Any, delay: float) -> None:
    for attempt in (1, 3, 99):
        finish = ended(Defer(until), attempt)
        assert finish.outcome is AttemptOutcome.DEFERRED
        assert finish.decision == Wait(delay, counted=False)
        assert json.loads(finish.error)["message"].startswith("deferred ")


def test_a_deferral_that_is_no_length_of_time_does_no_harm() -> None:
    class OddDefer(Defer):
        def __init__(self) -> None: ...

    assert ended(OddDefer()).decision == Wait(5.0, counted=False)


def test_a_transform_that_fails_is_a_failed_attempt_and_its_line_is_told() -> None:
    registry = Registry()

    @registry.transform(source="github")
    def flatten(event: Event) -> Any:
        return event.payload["no such key"]  # the transform fails

    registry.processor(source="github", name="archive")(lambda event: None)
    ready = prepare(a_claim(), {"archive": registry.processors[0]}, 1.0)
    assert isinstance(ready, Ready)
    finish = ended(caught(ready.arguments))
    assert finish.outcome is AttemptOutcome.FAILED
    assert json.loads(finish.error)["where"] == place("the transform fails")


@pytest.mark.parametrize("error", [ValueError("x"), RetryAfter(1), AttemptTimeout("x")])
def test_the_last_attempt_that_fails_is_a_dead_letter(error: BaseException) -> None:
    assert ended(error, attempt=3).decision == Dead(DeadReason.EXHAUSTED)


def test_delays_grow_by_the_schedule_and_the_jitter() -> None:
    waits = [ended(ValueError(), attempt, jitter).decision for attempt in (1, 2) for jitter in (0, 0.9)]
    assert waits == [Wait(0.0), Wait(9.0), Wait(0.0), Wait(27.0)]


class OddDelay(RetryAfter):
    """An author's own, which goes round RetryAfter's own check."""

    def __init__(self, *seconds: Any) -> None:
        if seconds:
            (self.seconds,) = seconds


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (RetryAfter(1e300), 365 * 86400.0),
        (OddDelay(float("inf")), 365 * 86400.0),
        (OddDelay(10**400), 365 * 86400.0),
        (OddDelay(-5), 0.0),
        (OddDelay(float("nan")), 5.0),
        (OddDelay("soon"), 5.0),
        (OddDelay(), 5.0),
    ],
)
def test_a_delay_that_is_no_length_of_time_does_no_harm(error: RetryAfter, delay: float) -> None:
    finish = ended(error)
    assert finish.outcome is AttemptOutcome.RETRY_ASKED
    assert finish.decision == Wait(delay)


def test_an_exception_that_cannot_be_described_is_concluded_all_the_same() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    note = note_of(BrokenError())
    assert (note["error"], note["message"]) == ("BrokenError", "")
    assert note_of(SyntaxError("by hand", (1, "two", "three", 4)))["error"] == "SyntaxError"  # type: ignore[arg-type]


# What operators read


def fails_in_the_standard_library(event: Event) -> NoReturn:
    json.loads("no json")  # it fails in a library
    raise AssertionError


def calls_another(event: Event) -> None:
    fails_in_the_standard_library(event)


def place(mark: str) -> str:
    """`file:line` of the line here that ends with this comment."""
    lines = HERE.read_text(encoding="utf-8").splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if line.endswith(f"  # {mark}"))
    return f"{HERE}:{number}"


def test_the_note_has_class_message_place_and_times() -> None:
    def refuse(event: Event) -> None:
        raise LookupError("no customer 7")  # it refuses

    note = note_of(caught(lambda: a_ready(refuse).processor.function(None)))
    assert note | {"trace": ""} == {
        "attempt": 1,
        "outcome": "failed",
        "at": "2026-01-02T03:04:05.000+00:00",
        "seconds": 0.25,
        "error": "LookupError",
        "message": "no customer 7",
        "where": place("it refuses"),
        "trace": "",
    }
    assert "no customer 7" in note["trace"]


def test_the_place_is_the_authors_innermost_line_not_a_librarys() -> None:
    error = caught(lambda: calls_another(a_ready(calls_another).event))
    assert where(error) == place("it fails in a library")


def test_the_place_of_a_body_that_is_no_json_is_the_line_that_asked_for_it() -> None:
    def read(event: Event) -> None:
        assert event.payload["id"]  # it asks for the payload

    error = caught(lambda: read(a_ready(read, body=b"no json").event))
    assert where(error) == place("it asks for the payload")


def test_the_place_of_a_payload_that_does_not_fit_is_the_processor() -> None:
    def bill(event: Event, invoice: Invoice) -> None: ...

    note = note_of(caught(a_ready(bill, body=b"{}").arguments))
    assert note["where"] == a_processor(bill).origin
    assert note["where"].startswith(str(HERE))


def test_the_place_in_an_installed_plugin_is_its_outermost_line(tmp_path: Path) -> None:
    """All of it is installed: the outermost is the processor itself, the innermost may be anybody's."""
    package = tmp_path / "lib" / "site-packages" / "plugin.py"
    package.parent.mkdir(parents=True)
    text = "def inner():\n    raise OSError\n\ndef processor(event):\n    inner()\n"
    package.write_text(text)
    space: dict[str, Any] = {}
    exec(compile(text, str(package), "exec"), space)
    error = caught(lambda: a_ready(space["processor"]).processor.function(None))
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename == __file__:  # ours, where a worker's would be
        frames = frames.tb_next
    assert where(error.with_traceback(frames)) == f"{package}:5"


def test_the_trace_begins_in_the_authors_file() -> None:
    from gateway.isolated import run_to_end

    error = run_to_end(a_ready(calls_another)).error
    assert error is not None
    trace = json.loads(ended(error).error)["trace"]
    assert trace.splitlines()[1].strip().startswith(f'File "{HERE}"')
    assert "runner.py" not in trace


def test_a_folder_named_like_the_package_is_the_authors_all_the_same(tmp_path: Path) -> None:
    import gateway

    package = Path(gateway.__file__ or "").parent
    file = f"{package}-processors/one.py"
    space: dict[str, Any] = {}
    exec(compile("def processor(event):\n    raise OSError\n", file, "exec"), space)
    assert where(caught(lambda: space["processor"](None))) == f"{file}:2"


def test_long_texts_are_cut() -> None:
    note = note_of(ValueError("x" * 20_000))
    assert len(note["message"]) == 500
    assert len(note["trace"]) == MAX_TRACE


def test_a_mismatch_names_fields_and_never_values() -> None:
    def bill(event: Event, invoice: Invoice) -> None: ...

    body = b'{"amount": "secret-amount", "customer": 123454321}'
    message = note_of(caught(a_ready(bill, body=body).arguments))["message"]
    assert "Invoice: amount:" in message
    assert "customer:" in message
    assert "secret-amount" not in message
    assert "123454321" not in message


def test_a_body_that_is_no_json_is_a_mismatch_of_the_body() -> None:
    def bill(event: Event, invoice: Invoice) -> None: ...

    assert "Invoice: body:" in note_of(caught(a_ready(bill, body=b"\xff").arguments))["message"]


def test_describe_gives_text_that_any_json_reader_takes() -> None:
    text = describe(a_claim(), ValueError("\ud800 é \x00"), AttemptOutcome.FAILED, 0.1, AT)
    assert text.isascii()
    assert json.loads(text)["message"] == "\ud800 é \x00"
