"""The crowd: room for so many connections; who keeps us waiting gives way, who is answered never."""

import resource
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.crowd import Crowd, raise_file_limit


@dataclass(eq=False)
class Connection:
    name: str
    crowd: Crowd
    waits: bool = True
    dropped: bool = False
    asked_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transport: Any = self

    def close(self) -> None:
        self.dropped = True

    def late(self, now: float) -> bool:
        self.asked_at.append(now)
        return self.name == "z"


def joined(crowd: Crowd, *names: str, waits: bool = True) -> list[Connection]:
    members = [Connection(name, crowd, waits) for name in names]
    for member in members:
        crowd.join(member)
    return members


def dropped(members: list[Connection]) -> str:
    return "".join(member.name for member in members if member.dropped)


def test_the_one_that_keeps_us_waiting_for_longest_gives_way() -> None:
    members = joined(Crowd(3), *"abcde")
    assert dropped(members) == "ab"


def test_who_never_had_an_answer_gives_way_before_those_that_had_one() -> None:
    crowd = Crowd(3)
    members = joined(crowd, *"ab")
    crowd.answered(members[0])
    members += joined(crowd, *"cde")
    assert dropped(members) == "bc"


def test_of_those_that_had_an_answer_the_one_without_a_request_for_longest_gives_way() -> None:
    crowd = Crowd(2)
    members = joined(crowd, *"ab")
    for member in (members[0], members[1], members[0]):
        crowd.answered(member)
    members += joined(crowd, "c")
    assert dropped(members) == "b"


def test_a_whole_request_is_answered_however_many_come() -> None:
    crowd = Crowd(2)
    busy = joined(crowd, *"ab", waits=False)
    more = joined(crowd, *"cde")
    assert (dropped(busy), dropped(more)) == ("", "cd")


@given(st.lists(st.sampled_from(["join", "answered", "leave", "busy"]), max_size=60), st.integers(1, 5))
def test_there_are_never_more_than_there_is_room_for_while_any_waits(
    words: list[str], most: int
) -> None:
    crowd, members = Crowd(most), list[Connection]()
    for number, word in enumerate(words):
        inside = [member for member in members if not member.dropped]
        if word == "join":
            members += joined(crowd, str(number))
        elif inside and word == "answered":
            crowd.answered(inside[0])
        elif inside and word == "leave":
            crowd.leave(inside[-1])
            members.remove(inside[-1])
        elif inside:
            inside[-1].waits = False
        kept = [member for member in members if not member.dropped]
        assert len(crowd) == len(kept)
        assert len(kept) <= most or not any(member.waits for member in kept[:-1])


@dataclass
class Loop:
    """Whose timers are run by hand, one second later each."""

    timers: list[tuple[Any, ...]] = field(default_factory=list)
    now: float = 100.0

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, *call: Any) -> None:
        self.timers.append(call)

    def turn(self) -> None:
        self.now += 1
        call, *arguments = self.timers.pop()
        call(*arguments)


def test_who_is_late_is_closed_by_one_timer_for_all_that_ends_with_the_last_one() -> None:
    crowd, loop = Crowd(10), Loop()
    members = joined(crowd, *"abz")
    crowd.answered(members[1])
    for _ in members:
        crowd.keep_watch(loop)  # type: ignore[arg-type]  # as much of one as is needed
    loop.turn()
    loop.turn()
    assert [each.asked_at for each in members] == [[101.0, 102.0]] * 3
    assert dropped(members) == "z"
    for each in members:
        crowd.leave(each)
    loop.turn()
    assert loop.timers == []


def test_the_limit_of_open_files_is_raised_as_far_as_may_be() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert raise_file_limit(300) == 300
        assert raise_file_limit(200) == 300
        assert Crowd.within_file_limit(100).most == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
