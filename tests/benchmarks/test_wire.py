"""HTTP at the lowest price."""

import pytest

from benchmarks.wire import Answer, Dropped, parse, request


def test_a_request_says_how_long_its_body_is() -> None:
    assert request("POST", "/report", "host:1", b"{}") == (
        b"POST /report HTTP/1.1\r\nHost: host:1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_request_without_a_body_has_no_length() -> None:
    assert request("GET", "/a?b=c", "host:1") == b"GET /a?b=c HTTP/1.1\r\nHost: host:1\r\n\r\n"


def test_a_password_before_the_host_is_sent_as_http_basic() -> None:
    assert request("GET", "/a", "job:p%40ss@host:1") == (
        b"GET /a HTTP/1.1\r\nHost: host:1\r\nAuthorization: Basic am9iOnBAc3M=\r\n\r\n"
    )


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCONTENT-Length: 5\r\n\r\nhello"


def test_an_answer_is_parsed() -> None:
    answer = parse(ANSWER)
    assert answer == Answer(200, b"hello", last=False)
    assert answer is not None
    assert answer.succeeded


def test_an_answer_is_incomplete_until_its_last_byte() -> None:
    assert all(parse(ANSWER[:end]) is None for end in range(len(ANSWER)))


def test_an_answer_may_be_the_last() -> None:
    assert parse(b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n") == Answer(503, b"", last=True)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    ],
)
def test_what_is_not_understood_drops_the_connection(data: bytes) -> None:
    with pytest.raises(Dropped):
        parse(data)
