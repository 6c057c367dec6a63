"""What one request becomes: several events, or none when its signed bytes have come before."""

import json
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.deployments import event, signed
from tests.e2e.ledger_view import LedgerView
from tests.e2e.rig import Gateway

ONE, TWO, THREE = b'{"id": "b-1", "n": 1.10}', b'{"id":"b-2"}', b'{ "id":"b-3",  "type":"late" }'


def batch(*items: bytes) -> bytes:
    return b'{"events": [%b]}' % b", ".join(items)


def test_every_item_of_a_batch_is_an_event_with_its_own_bytes(
    gateway: Gateway, ledger: LedgerView
) -> None:
    body = batch(ONE, TWO)
    assert gateway.send("/hooks/batched", body, signed(body)).status == 200
    assert ledger.stored("batched", "b-1") == ONE
    assert ledger.stored("batched", "b-2") == TWO
    assert len(ledger.bells("batched", "b-1")) == 1
    line = gateway.await_log("request.accepted", source="batched", provider_id="b-1")
    assert line["count"] == 2


def test_of_a_batch_that_comes_again_only_what_is_new_is_stored(
    gateway: Gateway, ledger: LedgerView
) -> None:
    first, second = batch(ONE, TWO), batch(TWO, THREE, TWO)
    gateway.send("/hooks/batched", first, signed(first))
    before = ledger.events("batched")
    assert gateway.send("/hooks/batched", second, signed(second)).status == 200
    assert ledger.events("batched") == before + 1
    assert ledger.stored("batched", "b-3") == THREE
    assert len(ledger.bells("batched", "b-2")) == 1


def test_an_empty_batch_is_acknowledged_and_stores_nothing(
    gateway: Gateway, ledger: LedgerView
) -> None:
    before, body = ledger.events("batched"), batch()
    assert gateway.send("/hooks/batched", body, signed(body)).status == 200
    assert ledger.events("batched") == before


def test_a_captured_body_sent_again_under_fresh_ids_is_processed_once(
    gateway: Gateway, ledger: LedgerView
) -> None:
    before, body = ledger.events("loose"), event("push", number=4711)
    with ThreadPoolExecutor(16) as pool:
        calls = [
            pool.submit(gateway.send, "/hooks/loose", body, signed(body, f"fresh-{n}"))
            for n in range(32)
        ]
        assert {call.result().status for call in calls} == {200}
    assert ledger.events("loose") == before + 1


def test_other_bytes_or_another_type_under_a_fresh_id_are_another_event(
    gateway: Gateway, ledger: LedgerView
) -> None:
    before = ledger.events("loose")
    for number, kind in ((1, "push"), (2, "push"), (1, "pull")):
        body = json.dumps({"type": kind, "number": number}).encode()
        gateway.send("/hooks/loose", body, signed(body, f"other-{number}-{kind}"))
    assert ledger.events("loose") == before + 3


def test_where_the_id_is_signed_the_same_body_under_two_ids_is_two_events(
    gateway: Gateway, ledger: LedgerView
) -> None:
    before, body = ledger.events("plain"), event("push", number=4712)
    for number in range(2):
        gateway.send("/hooks/plain", body, signed(body, f"signed-{number}"))
    assert ledger.events("plain") == before + 2
