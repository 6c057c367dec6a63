"""What the head of a request may cost: bytes and time."""

from typing import Any

import pytest

from gateway.adapters.http.heads import REFUSAL, Head, refuse


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """At most 10 bytes in reads behind the first one, 3 seconds for a head, 5 for the next one."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.head = Head(10, 3.0, 5.0, self.clock)

    def read(self, size: int, *, begins: bool = False, ends: bool = False) -> bool:
        """Whether that is too much."""
        self.head.next_read()
        if begins:
            self.head.begin()
        if ends:
            self.head.end()
        return self.head.too_large(size)

    def late_after(self, *seconds: float) -> list[bool]:
        return [self.head.late(self.clock.now + each) for each in seconds]


def test_a_head_of_one_read_has_whatever_size_it_has() -> None:
    assert not Rig().read(1000, begins=True, ends=True)


def test_the_reads_behind_the_first_one_are_added_up() -> None:
    rig = Rig()
    reads = (rig.read(1000, begins=True), rig.read(5), rig.read(5), rig.read(1))
    assert reads == (False, False, False, True)


def test_bytes_that_begin_nothing_are_added_up_as_well() -> None:
    rig = Rig()
    assert (rig.read(10), rig.read(1)) == (False, True)


def test_each_head_is_counted_for_itself_and_a_body_not_at_all() -> None:
    rig = Rig()
    rig.read(1, begins=True)
    first = (rig.read(9), rig.read(1000, ends=True), rig.read(1000))
    second = (rig.read(1, begins=True), rig.read(9))
    assert (*first, *second) == (False,) * 5


@pytest.mark.parametrize("sends", [False, True])
def test_a_head_is_late_when_it_is_not_whole_in_time(sends: bool) -> None:
    rig = Rig()
    rig.clock.now = 200.0
    rig.head.wait()
    rig.clock.now = 201.0
    if sends:  # it counts from there on
        rig.read(1, begins=True)
        assert rig.late_after(2.9, 3.0) == [False, True]
    else:
        assert rig.late_after(1.9, 2.0) == [False, True]


def test_after_an_answer_the_next_head_may_take_longer_to_begin() -> None:
    rig = Rig()
    rig.read(1, begins=True, ends=True)
    rig.clock.now = 200.0
    rig.head.wait()
    assert rig.late_after(4.9, 5.0) == [False, True]


def test_it_is_fresh_until_anything_begins() -> None:
    rig = Rig()
    rig.read(2)
    assert rig.head.fresh
    rig.read(1, begins=True)
    assert not rig.head.fresh


def test_who_is_gone_is_not_refused() -> None:
    class Transport:
        said = b""
        closing = False

        def is_closing(self) -> bool:
            return self.closing

        def write(self, data: bytes) -> None:
            self.said += data

        def close(self) -> None:
            self.closing = True

    transport: Any = Transport()
    refuse(transport, REFUSAL)
    refuse(transport, REFUSAL)
    assert (transport.said, transport.closing) == (REFUSAL, True)
