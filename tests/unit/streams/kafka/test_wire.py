from __future__ import annotations

import pytest

from common.streams.kafka.wire import UndecodableError, json_line


def test_a_json_record_is_one_line_whatever_blank_space_it_has() -> None:
    assert json_line(b'{"id":\n1}', b'{"op": "c"}\n') == b'{"key":{"id": 1},"value":{"op": "c"} }\n'


def test_nothing_is_null() -> None:
    assert json_line(None, None) == b'{"key":null,"value":null}\n'


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"{", b"1", "key is not JSON"),
        (b"1", b'1},"x":{', "value is not JSON"),
        (b'1,"value":2', b"1", "key is not JSON"),
        (b"\xff", b"1", "key is not JSON"),
    ],
)
def test_what_is_not_json_is_refused(key: bytes, value: bytes, reason: str) -> None:
    with pytest.raises(UndecodableError, match=reason):
        json_line(key, value)
