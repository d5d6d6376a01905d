"""The queries by which rows are freed, as text.

Values stand in them as literals: PostgreSQL streams the rows of a query without parameters in its binary format.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from common.databases.liberation import XMIN, All, Liberation
from common.databases.progress import Progress, Window

SNAPSHOT = """\
SELECT system_identifier::text AS system,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS started
FROM pg_control_system()"""

_LAST = "(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)"


def columns(liberation: Liberation) -> str:
    """The query that shows the columns and their types, without a row."""
    return f"{_select(liberation)} LIMIT 0"


def page(liberation: Liberation, progress: Progress, schema: pa.Schema) -> str:
    """The next page of the open window, or the one that was planned, in the order of its columns.

    Rows that are alike in these columns stand on one page, which may so be longer than it should.

    Args:
        liberation: What is freed.
        progress: Its progress, with an open window.
        schema: The columns and their types.
    """
    assert progress.window is not None
    order = ", ".join(map(quoted, liberation.order))
    wanted = list(_in_window(liberation, progress.window, schema))
    if progress.after is None:
        missing = " OR ".join(f"{quoted(name)} IS NULL" for name in liberation.order)
        return f"{_select(liberation)} WHERE {' AND '.join([*wanted, f'({missing})'])}"
    wanted += [f"{quoted(name)} IS NOT NULL" for name in liberation.order]
    if progress.after:
        wanted.append(f"({order}) > ({_literals(progress.after)})")
    if progress.to is not None:
        wanted.append(f"({order}) <= ({_literals(progress.to)})")
    text = f"{_select(liberation)} WHERE {' AND '.join(wanted)}"
    return f"{text} ORDER BY {order} FETCH FIRST {liberation.page} ROWS WITH TIES"


def quoted(name: str) -> str:
    """A name as an identifier (PostgreSQL, "Identifiers and Key Words")."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as a literal; the database gives it the type of what it is compared with."""
    return "'" + value.replace("'", "''") + "'"


def _literals(values: tuple[str, ...]) -> str:
    return ", ".join(map(literal, values))


def _select(liberation: Liberation) -> str:
    return f"SELECT {', '.join(map(quoted, liberation.columns))} FROM {_source(liberation)}"


def _source(liberation: Liberation) -> str:
    if liberation.query:
        return f"({liberation.query.strip().rstrip(';')}\n) AS freed"
    return ".".join(map(quoted, liberation.table.split(".")))


def _in_window(liberation: Liberation, window: Window, schema: pa.Schema) -> Iterator[str]:
    read = liberation.read
    if isinstance(read, All):
        return
    if liberation.writer:
        writer = _transaction(liberation.writer)
        if window.since:
            yield f"{writer} >= {window.since}"
        yield f"{writer} < {window.until}"
    if window.low is not None:
        column = quoted(read.column)
        low = _time(window.low, schema.field(read.column).type) if read.by == "time" else str(window.low)
        # A row without a value is found by its transaction alone.
        yield f"({column} >= {low} OR {column} IS NULL)"


def _transaction(column: str) -> str:
    """A 32-bit transaction id as the last 64-bit one before now that ends in these bits."""
    return f"({_LAST} - (({_LAST} - {XMIN if column == XMIN else quoted(column)}::text::bigint) & 4294967295))"


def _time(micros: int, kind: pa.DataType) -> str:
    """A moment as a value of the column; a time without a zone is taken for UTC."""
    name = "timestamptz" if kind.tz else "timestamp"
    epoch = "1970-01-01 00:00:00+00" if kind.tz else "1970-01-01 00:00:00"
    return f"({name} '{epoch}' + {micros} * interval '1 microsecond')"
