"""dramatiq's side of the drain, run in the peers' own environment; with a number it fills."""

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))


@dramatiq.actor
def read(body: str) -> None:
    """Does nothing."""


if __name__ == "__main__":
    text = os.environ["BENCH_BODY"]
    for _ in range(int(sys.argv[1])):
        read.send(text)
