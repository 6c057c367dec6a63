"""Lines of libraries are held to what ours are: JSON, few of what anybody can cause, nothing quoted."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.logs import LineBudget, configure_logs, line_writer, logger, place_of, together


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """A configured log; afterwards logging is as it was."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn.error")
    before = root.handlers[:], root.level, uvicorn.filters[:]
    root.handlers[:] = []
    stream = io.StringIO()
    configure_logs("json", "info", stream)
    yield stream
    root.handlers[:], level, uvicorn.filters[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_our_lines_are_json_with_level_and_time(out: io.StringIO) -> None:
    logger().info("gateway.started", sources=3)
    (line,) = lines(out)
    assert line.pop("time").endswith("Z")
    assert line == {"event": "gateway.started", "level": "info", "sources": 3}


def test_lines_of_libraries_look_like_ours(out: io.StringIO) -> None:
    logging.getLogger("some.library").warning("%s is odd", "this")
    logging.getLogger("some.library").info("chatter")
    (line,) = lines(out)
    assert (line["event"], line["logger"], line["level"]) == ("this is odd", "some.library", "warning")


def test_an_exception_is_its_type_and_place_never_its_text(out: io.StringIO) -> None:
    with pytest.raises(ValueError, match="canary") as raised:
        int("canary")
    error = raised.value
    logging.getLogger("asyncio").error("Task failed\nfuture: %r", error, exc_info=error)
    assert "canary" not in out.getvalue()
    (line,) = lines(out)
    assert (line["event"], line["error"]) == ("Task failed", "ValueError")
    assert line["where"] == place_of(error)
    assert place_of(error).startswith(__file__)


def test_warnings_that_anybody_can_cause_are_few_and_errors_all_there(out: io.StringIO) -> None:
    for _ in range(500):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    for _ in range(50):
        logging.getLogger("uvicorn.error").error("a bug")
    levels = [line["level"] for line in lines(out)]
    assert levels.count("error") == 50
    assert 20 <= levels.count("warning") <= 40  # a second may end meanwhile


def test_a_budget_starts_anew_every_second_and_says_what_was_left_out() -> None:
    now = [10.0]
    budget = LineBudget(2, lambda: now[0])
    assert [budget.take() for _ in range(5)] == [0, 0, None, None, None]
    now[0] = 11.0
    assert [budget.take() for _ in range(3)] == [3, 0, None]
    now[0] = 12.5
    assert budget.take() == 1


def test_the_quick_way_writes_what_the_other_one_writes(out: io.StringIO) -> None:
    fields = {"source": "shop", "event_type": "a\udcff\u2028b", "reason": None, "ms": 1.5}
    logger().info("request.accepted", **fields)
    line_writer()("request.accepted", **fields)
    usual, quick = lines(out)
    assert usual.pop("time")[:16] == quick.pop("time")[:16]
    assert list(usual.items()) == list(quick.items())


class CountedWrites(io.StringIO):
    """How often it was written to."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


@pytest.mark.usefixtures("out")
def test_what_one_turn_of_the_loop_logs_is_one_write_and_in_order() -> None:
    stream = CountedWrites()
    configure_logs("json", "info", stream)

    async def main() -> None:
        write = line_writer()
        for number in range(5):
            write("request.accepted", number=number)
        await asyncio.sleep(0)
        logger().error("request.failed")

    asyncio.run(main())
    assert [line.get("number", line["event"]) for line in lines(stream)] == [
        *range(5),
        "request.failed",
    ]
    assert stream.writes == 2


@pytest.mark.usefixtures("out")
def test_what_is_logged_together_is_one_write_at_its_end() -> None:
    stream = CountedWrites()
    configure_logs("json", "info", stream)
    with together():
        for number in range(3):
            logger().info("attempt.done", number=number)
        assert stream.getvalue() == ""
    assert [line["number"] for line in lines(stream)] == [0, 1, 2]
    assert stream.writes == 1
    logger().info("worker.stopped")
    assert len(lines(stream)) == 4


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("out")
def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    configure_logs("json", "info", FullDisk())
    logger().error("request.failed")
    line_writer()("request.accepted")
