"""Hookline: an inbound webhook gateway.

The path of one webhook, with the file that decides each step:

1.  ``adapters/http/wire.py`` gives ``adapters/http/edge.py`` an HTTP call, which finds its source by
    path, checks method, header size, client address (``core/addresses.py``) and the flood guard, and
    takes the raw body.
2.  ``ingest.py`` takes it from there: an unsigned handshake is answered (``core/handshake.py``);
    the signature is verified over the raw bytes (``core/verification.py``, ``core/schemes/``);
    the source's quota is charged; the idempotency key and the event type are found
    (``core/identity.py``); processors are chosen (``core/routing.py``).
3.  ``adapters/ledger/`` makes the event durable: one atomic script (``lua/accept.lua``)
    stores it, refuses duplicates, opens one delivery per processor and rings RQ.
4.  ``adapters/http/responses.py`` turns the outcome into the one HTTP answer.
5.  A worker (``adapters/worker/worker.py``, or a stock ``rq worker`` through ``jobs.py``) claims the
    delivery, ``process.py`` runs the processor and decides (``core/retry.py``), and ``finish``
    records: done, waiting for the next attempt, or a dead letter.
6.  ``replay.py`` is how an operator puts a dead letter back.

What was answered with a 2xx is never lost, and never processed twice because of Hookline.
"""

__version__ = "0.1.0"
