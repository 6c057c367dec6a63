"""The Lua scripts as functions from state to state, each with the word that it answers."""

from tests.model.state import (
    ABANDON_AFTER,
    FORGOTTEN,
    MOST_CRASHES,
    Delivery,
    State,
    World,
    put,
)

Answered = tuple[State, str]


def accept(state: State, world: World) -> Answered:
    if state.deliveries:
        return _repeated(state, world)
    fresh = Delivery(crashes=world.crashes, own=world.own)
    state = state._replace(deliveries=(fresh, fresh), turn=int(world.line))
    state = ring(state, 1)
    if world.line:
        return _stand_in_line(state, 2), "accepted"
    return ring(state, 2), "accepted"


def _repeated(state: State, world: World) -> Answered:
    states = [each.state for each in state.deliveries]
    if "dead" not in states:
        return state, "done" if set(states) == {"done"} else "pending"
    if not world.revives:
        return state, "dead"
    for number in state.numbers():
        state, _ = revive(state, number, world)
    return state, "revived"


def ring(state: State, number: int) -> State:
    for other in state.numbers():
        state = put(state, other, since=min(FORGOTTEN, state.of(other).since + 1))
    bell = (number, state.of(number).fence + 1)
    return put(state, number, since=0)._replace(queue=(*state.queue, bell))


def revive(state: State, number: int, world: World) -> Answered:
    delivery = state.of(number)
    if delivery.state != "dead":
        return state, delivery.state
    state = put(
        state,
        number,
        **{"state": "pending", "reason": "replayed", "attempts": 0, "crashes": 0, "own": 0},
        **{"shown": False, "job": "", "look": False, "waits": 0, "runs": 0, "born": delivery.fence},
    )
    if world.line and not _may_run(state, number):
        return _stand_in_line(state, number), "replayed"
    return ring(_take_turn(state, number, world), number), "replayed"


def discard(state: State, number: int) -> Answered:
    if state.of(number).state != "dead":
        return state, state.of(number).state
    changes = {"state": "done", "reason": "discarded", "shown": False, "job": ""}
    return pass_turn(put(state, number, **changes), number), "discarded"


# Lines


def _may_run(state: State, number: int) -> bool:
    return state.turn in (0, number)


def _take_turn(state: State, number: int, world: World) -> State:
    return state._replace(turn=number) if world.line else state


def _stand_in_line(state: State, number: int) -> State:
    state = put(state, number, state="blocked", look=False)
    return state._replace(line=tuple(sorted({*state.line, number})))


def pass_turn(state: State, number: int) -> State:
    """Where there is no line, nobody has a turn, and nothing happens."""
    if state.turn not in (0, number):
        return state
    if not state.line:
        return state._replace(turn=0)
    first = state.line[0]
    state = put(state, first, state="pending", look=False)
    return ring(state._replace(turn=first, line=state.line[1:]), first)


# Claims


def claim(
    state: State, number: int, world: World, *, books: bool, unheard: int = 0, look: int = -1
) -> Answered:
    """`unheard`: the fence that was leased to the same token before; 0: none. `look` 0: a Requeue."""
    if look == 0:
        state, word = revive(state, number, world)
        return state, "busy" if word == "leased" else word
    delivery = state.of(number)
    again = delivery.state == "leased" and unheard == delivery.fence > 0
    early = delivery.state in ("leased", "waiting") and not delivery.ripe and not again
    if delivery.state in ("done", "dead", "blocked") or early:
        return state, "busy" if delivery.state == "leased" else delivery.state
    if delivery.state == "leased" and not again:
        state = _note_crash(state, number)
        if reason := _death(state.of(number)):
            return bury(state, number, reason, world), reason
    if world.line and not _may_run(state, number):
        return _stand_in_line(state, number), "blocked"
    return _lease(_take_turn(state, number, world), number, again, books=books), "run"


def _note_crash(state: State, number: int) -> State:
    delivery = state.of(number)
    own = delivery.own + (delivery.given_up or delivery.lonely)
    state = forget_look(state, number, delivery.fence)
    return put(state, number, crashes=delivery.crashes + 1, own=own)


def _death(delivery: Delivery) -> str:
    if delivery.crashes >= MOST_CRASHES and delivery.own >= MOST_CRASHES - 1:
        return "poison"
    return "abandoned" if delivery.crashes >= ABANDON_AFTER else ""


def _lease(state: State, number: int, again: bool, *, books: bool) -> State:
    delivery = state.of(number)
    fence = delivery.fence + (not again)
    state = put(
        state,
        number,
        **{"state": "leased", "attempts": delivery.attempts + (not again), "fence": fence},
        **{"ripe": False, "given_up": False, "look": False, "lonely": not books},
    )
    return state._replace(books=state.books | {(number, fence, True)}) if books else state


def forget_look(state: State, number: int, look: int) -> State:
    books = frozenset(each for each in state.books if each[:2] != (number, look))
    return state._replace(books=books, failed=state.failed - {(number, look)})


def bury(state: State, number: int, reason: str, world: World) -> State:
    changes = {"state": "dead", "reason": reason, "shown": True, "job": "failed"}
    state = put(state, number, **changes, ripe=False, given_up=False, look=False)
    return state if world.blocks else pass_turn(state, number)


def is_held(state: State, number: int, fence: int) -> bool:
    return (state.of(number).state, state.of(number).fence) == ("leased", fence)


def renew(state: State, number: int, fence: int) -> Answered:
    if not is_held(state, number, fence) or state.of(number).given_up:
        return state, "lost"
    return put(state, number, ripe=False, look=False), "kept"


def give_up(state: State, number: int, fence: int) -> Answered:
    if not is_held(state, number, fence):
        return state, "lost"
    return put(state, number, ripe=True, given_up=True, look=True), "kept"


def finish(
    state: State, number: int, fence: int, decision: str, world: World, *, books: bool
) -> Answered:
    if not is_held(state, number, fence):
        return state, "stale"
    delivery = state.of(number)
    if books:
        state = forget_look(state, number, fence)
    state = put(state, number, ripe=False, given_up=False, look=False, ended=fence)
    if decision == "done":
        return pass_turn(put(state, number, state="done", reason=""), number), "finished"
    if decision == "wait":
        return put(state, number, state="waiting", waits=delivery.waits + 1), "finished"
    if decision == "release":
        state = put(state, number, state="pending", attempts=delivery.attempts - 1)
        return ring(state, number), "finished"
    return bury(state, number, "exhausted", world), "finished"


# Looking after what is left


def sweep(state: State) -> State:
    for number in state.numbers():
        if state.of(number).open and state.of(number).look:
            state = _look(put(state, number, look=False), number)
    return state


def _look(state: State, number: int) -> State:
    delivery = state.of(number)
    if delivery.state == "blocked":  # its line is looked after, and nobody's turn gets lost here
        return state
    if delivery.state == "waiting":
        state = put(state, number, state="pending", ripe=False)
    elif delivery.since < len(state.queue):
        return state
    elif delivery.state == "leased":
        state = forget_look(state, number, delivery.fence)
    return ring(forget_look(state, number, delivery.fence + 1), number)


def refile(state: State, world: World) -> State:
    for number in state.numbers():
        delivery = state.of(number)
        if delivery.state != "dead" or (delivery.shown and delivery.job):
            continue
        if delivery.job == "queued" and not delivery.shown:
            if (number, 0) not in state.queue:
                state, _ = revive(state, number, world)
        else:
            state = put(state, number, shown=True, job="failed")
    return state


def pass_time(state: State) -> State:
    for number in state.numbers():
        delivery = state.of(number)
        timed = delivery.state in ("leased", "waiting")
        state = put(state, number, look=delivery.open, ripe=delivery.ripe or timed)
    return state
