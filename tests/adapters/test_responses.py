"""What goes out: put together once, and never more than one answer."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.responses import Response, respond
from gateway.core.outcomes import Outcome
from gateway.core.reply import Reply
from gateway.endings import Ending
from tests.adapters.edge_rig import SHOP, sent

TEXT = st.text(max_size=20) | st.sampled_from(
    [
        "a\r\nb: c",
        "a\n\nHTTP/1.1 200",
        "\0",
        "Content-Length",
        "transfer-encoding",
        "x-plain",
        "chunked",
    ]
)


def answered(reply: Reply) -> Response:
    return respond(Ending(Outcome.ACCEPTED, reply=reply), SHOP)


@given(
    st.lists(st.tuples(TEXT, TEXT), max_size=4),
    TEXT,
    st.binary(max_size=9),
    st.integers(200, 299),
    st.booleans(),
)
def test_whatever_stands_in_a_reply_it_is_one_answer_with_one_length(
    headers: list[tuple[str, str]], content_type: str, body: bytes, status: int, last: bool
) -> None:
    wire = answered(Reply(status, body, content_type, tuple(headers))).wire(last=last)
    head, _, rest = wire.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    names = [line.partition(b": ")[0] for line in lines]
    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert not any(set(line) & {0, 10, 13} for line in lines)
    assert names.count(b"content-length") == (status != 204)
    assert b"transfer-encoding" not in names
    assert rest == (b"" if status == 204 else body)
    assert (b"connection: close" in lines) >= last


def test_a_header_that_could_end_the_answer_is_left_out_and_the_others_stay() -> None:
    reply = Reply(headers=(("x-bad", "a\r\n\r\nHTTP/1.1 500 no"), ("x-good", "b")))
    assert sent(answered(reply).wire()).headers == ((b"content-length", b"0"), (b"x-good", b"b"))


def test_an_answer_says_once_that_it_is_the_last_one() -> None:
    closing = respond(Ending(Outcome.REFUSED), SHOP)
    assert closing.wire(last=True).count(b"connection: close") == 1
    staying = respond(Ending(Outcome.ACCEPTED), SHOP)
    assert staying.wire() == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    assert (
        staying.wire(last=True) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )


def test_an_answer_that_was_given_before_is_not_put_together_again() -> None:
    assert respond(Ending(Outcome.REFUSED), SHOP) is respond(Ending(Outcome.REFUSED), SHOP)
    assert answered(Reply(201)) is answered(Reply(201))
