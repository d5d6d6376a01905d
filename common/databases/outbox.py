"""The outbox: records that an application writes in the transaction of the change that they tell of.

`CREATE` makes the tables; `write` puts records in, once they keep the contract of their stream. What is in the
outbox of a transaction that is rolled back was never there. Change a row first, then write its record: whoever
changes the same row next waits for the end of that transaction, so the ids of one key grow as its changes do. A
statement that changed no row waits for nobody: write no record for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load, streams
from common.errors import AdstreamError
from common.operators.step import END
from common.streams.conform import shown
from common.streams.decoded import DeadLetter, dead_letters
from common.streams.folder import Split
from common.streams.jsonl import decode_lines

JOB = "outbox"
"""The name under which what publishes an outbox is known, to a broker and in the lineage."""
CREATE = (
    """\
CREATE TABLE IF NOT EXISTS outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stream text NOT NULL,
    key text NOT NULL,  -- JSON, as the stream's contract has it
    value text,         -- JSON; NULL is a tombstone
    step bigint         -- the step that publishes it; NULL until it is taken
)""",
    "CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (id) WHERE step IS NULL",
    "CREATE INDEX IF NOT EXISTS outbox_taken ON outbox (step) WHERE step IS NOT NULL",
    """\
CREATE TABLE IF NOT EXISTS outbox_relay (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    step bigint NOT NULL  -- the next step; those before it were published
)""",
    "INSERT INTO outbox_relay (step) VALUES (0) ON CONFLICT DO NOTHING",
)
"""The statements that make what is missing of an outbox."""

_INSERT = "INSERT INTO outbox (stream, key, value) VALUES (%s, %s, %s)"


class Executes(Protocol):
    """A connection or cursor of psycopg, or of any driver whose parameters are `%s`."""

    def execute(self, query: Any, params: Sequence[Any], /) -> object:
        """Runs a statement in the transaction of the caller."""
        ...


def write(connection: Executes, stream: str, records: Iterable[tuple[Any, Any]]) -> None:
    """Puts records into the outbox, in the caller's transaction.

    Args:
        connection: The connection that the change was made on.
        stream: The stream they are for.
        records: Keys and values as JSON has them: timestamps as epoch ms, enums as strings; None is a tombstone.

    Raises:
        AdstreamError: There is no such stream, or a record breaks its contract; none was written.
    """
    contract = load(stream)
    lines = [(_json(stream, key), _json(stream, value)) for key, value in records]
    block = b"".join(_line(key, value) for key, value in lines)
    _, letters = decode_lines(block, contract, END)
    if letters:
        number, raw, reason = letters[0]
        raise AdstreamError(
            f"stream '{stream}': record {number} breaks the contract ({reason}): {raw.decode(errors='replace')[:200]}",
            "correct it: nothing was written",
        )
    for key, value in lines:
        connection.execute(_INSERT, (stream, key.decode(), None if value == b"null" else value.decode()))


def records_of(stream: str, rows: pa.Table) -> tuple[Mapping[str, pa.Table], pa.Table]:
    """Rows of the outbox as records of their stream, in order, and dead letters for those that are none.

    Args:
        stream: The stream.
        rows: Its rows: `id`, and `key` and `value` as JSON, null for a tombstone.
    """
    keys, values = (_texts(rows[name]) for name in ("key", "value"))
    lines = [_line(key.encode(), value.encode()) for key, value in zip(keys, values, strict=True)]
    ids = rows["id"].to_pylist()
    place = Split(stream, "outbox")
    if stream not in streams():
        unknown = f"there is no stream '{stream}'"
        return {}, dead_letters(place, [DeadLetter(row, raw, unknown) for row, raw in zip(ids, lines, strict=True)])
    # As parts of a line, texts could end it, or say its key a second time.
    bad = {row: f"value is {shown(values[row])}" for row in _not_json(values)}
    bad |= {row: f"key is {shown(keys[row])}" for row in _not_json(keys)}
    sure = [row for row in range(len(lines)) if row not in bad]
    records, letters = decode_lines(b"".join(lines[row] for row in sure), load(stream), END)
    dead = [DeadLetter(ids[sure[line]], raw, why) for line, raw, why in letters]
    dead += [
        DeadLetter(ids[row], orjson.dumps({"key": keys[row], "value": values[row]}), f"malformed JSON: {why}")
        for row, why in bad.items()
    ]
    return {stream: records}, dead_letters(place, sorted(dead, key=lambda letter: letter.offset))


def _texts(column: pa.ChunkedArray) -> list[str]:
    """JSON texts."""
    texts: list[str] = pc.fill_null(column, "null").to_pylist()
    return texts


def _not_json(texts: list[str]) -> list[int]:
    """The numbers of the texts that are not one JSON value each.

    They are parsed as one array, with something between them that none of them can know. If that is not
    found where it belongs, they are parsed one by one.
    """
    fence = uuid4().hex
    with suppress(orjson.JSONDecodeError):
        found = orjson.loads("[[" + f'],"{fence}",['.join(texts) + "]]")
        apart = found[1::2] == [fence] * (len(texts) - 1)
        if apart and all(isinstance(each, list) and len(each) == 1 for each in found[::2]):
            return []
    return [number for number, text in enumerate(texts) if not _is_json(text)]


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _line(key: bytes, value: bytes) -> bytes:
    """A record as a line of JSON; a line feed in it is blank space, as in a text of JSON none can stand."""
    return (b'{"key":' + key + b',"value":' + value + b"}").replace(b"\n", b" ") + b"\n"


def _json(stream: str, value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise AdstreamError(f"stream '{stream}': {value!r} is not JSON ({error})", "correct it") from None
