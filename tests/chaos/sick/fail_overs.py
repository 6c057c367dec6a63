"""Strikes at a primary and its replica, and what follows: each begins it, and gives the way back."""

import signal
from contextlib import suppress

from redis.exceptions import RedisError

from tests.chaos.servers import Server
from tests.chaos.sick.fault import Heal
from tests.chaos.sick.ward import Ward
from tests.e2e.rig import until


def replica_hung(ward: Ward) -> Heal:
    assert ward.replica
    ward.replica.signal(signal.SIGSTOP)
    return lambda: _of(ward.replica).signal(signal.SIGCONT)


def replica_killed(ward: Ward) -> Heal:
    _of(ward.replica).kill()

    def heal() -> None:
        _of(ward.replica).start()
        _of(ward.replica).follow(ward.server)

    return heal


def primary_killed(ward: Ward) -> Heal:
    """The one that was the primary comes back as the other's replica."""
    leader, other = _in_turn(ward)
    leader.kill()
    return lambda: _rejoin(ward, leader, other)


def primary_hung(ward: Ward) -> Heal:
    leader, other = _in_turn(ward)
    leader.signal(signal.SIGSTOP)

    def heal() -> None:
        leader.signal(signal.SIGCONT)
        _rejoin(ward, leader, other)

    return heal


def handed_over(ward: Ward) -> Heal:
    leader, other = _in_turn(ward)
    assert ward.sentinel
    ward.sentinel.hand_over()
    return lambda: _rejoin(ward, leader, other)


def failed_over(ward: Ward) -> bool:
    """Whether the sentinel has made the other one the primary, and it knows."""
    assert ward.sentinel
    with suppress(RedisError):
        port = ward.sentinel.leader()
        leader = next(each for each in (ward.server, _of(ward.replica)) if each.port == port)
        return port != ward.led and leader.role == "master"
    return False


def _in_turn(ward: Ward) -> tuple[Server, Server]:
    """Who leads now, and the other one, which follows."""
    assert ward.sentinel
    sentinel = ward.sentinel
    until(sentinel.knows_replicas, what="the sentinel's knowing of a replica")
    ward.led = sentinel.leader()
    one, two = ward.server, _of(ward.replica)
    return (one, two) if one.port == ward.led else (two, one)


def _rejoin(ward: Ward, old: Server, new: Server) -> None:
    """The fault is over with the fail-over; the pair is made whole for the next one."""
    if not old.is_running:
        old.start()
    old.follow(new)


def _of(server: Server | None) -> Server:
    assert server
    return server
