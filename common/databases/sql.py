"""The queries by which rows are freed, as text.

Values stand in them as literals: PostgreSQL streams the rows of a query without parameters in its binary format.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from common.databases.liberation import XMIN, All, Liberation
from common.databases.progress import Row, Window

SNAPSHOT = """\
SELECT system_identifier::text AS system,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now,
       (extract(epoch FROM greatest(pg_postmaster_start_time(), stats_reset)) * 1000000)::bigint AS started,
       CASE WHEN pg_is_in_recovery() THEN (pg_control_checkpoint()).timeline_id
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END AS timeline
FROM pg_control_system(), pg_stat_bgwriter"""
"""What `Snapshot` holds; any login may ask it.

A backend that is killed makes the server recover as after a crash, but is no start of it: what shows it is that the
server's statistics begin anew. The name of the log's file tells a new timeline from its first moment on, the control
file only after a checkpoint; a standby has no other.
"""

AHEAD = 64
"""How many pages are planned at a time: their ends cost one look at the order columns, sorted where no index does it."""
_NTH, _NEXT = '"adstream nth"', '"adstream next"'
_LAST = "(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)"


def columns(liberation: Liberation) -> str:
    """The query that shows the columns and their types, without a row."""
    return f"{_select(liberation)} LIMIT 0"


def page(liberation: Liberation, window: Window, bounds: tuple[Row | None, Row], schema: pa.Schema) -> str:
    """The rows of a page, in no order.

    Args:
        liberation: What is freed.
        window: What the read takes.
        bounds: After which row the page begins, and with which it ends; see `Progress.pages`.
        schema: The columns and their types.
    """
    after, to = bounds
    if after is None:
        return f"{_select(liberation)} WHERE {_without_order(liberation, window, schema)}"
    wanted = [*_after(liberation, window, after, schema), f"({_order(liberation)}) <= ({_literals(to)})"]
    return f"{_select(liberation)} WHERE {' AND '.join(wanted)}"


def ends(liberation: Liberation, window: Window, after: Row, schema: pa.Schema) -> str:
    """The last rows of the next pages, up to `AHEAD` of them, by their order columns.

    Rows that are alike in these columns stand on one page, which may so be longer than it should.

    Args:
        liberation: What is freed.
        window: What the read takes.
        after: After which row they begin.
        schema: The columns and their types.
    """
    order, size = _order(liberation), liberation.page
    wanted = " AND ".join(_after(liberation, window, after, schema))
    ahead = f"SELECT {order} FROM {_source(liberation)} WHERE {wanted} ORDER BY {order} LIMIT {size * AHEAD}"
    # One pass in the order of an index, where there is one: nothing is counted or sorted first.
    next_row = f"lead({quoted(liberation.order[0])}) OVER (ORDER BY {order}) AS {_NEXT}"
    numbered = f"SELECT {order}, row_number() OVER (ORDER BY {order}) AS {_NTH}, {next_row} FROM ({ahead}) AS ahead"
    last = f"{_NTH} % {size} = 0 OR {_NEXT} IS NULL"
    return f"SELECT DISTINCT {order} FROM ({numbered}) AS numbered WHERE {last} ORDER BY {order}"


def without_order(liberation: Liberation, window: Window, schema: pa.Schema) -> str:
    """Whether any row of a window has no order columns, and so stands on no page."""
    return f"SELECT 1 AS found FROM {_source(liberation)} WHERE {_without_order(liberation, window, schema)} LIMIT 1"


def quoted(name: str) -> str:
    """A name as an identifier (PostgreSQL, "Identifiers and Key Words")."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as a literal; the database gives it the type of what it is compared with."""
    return "'" + value.replace("'", "''") + "'"


def _order(liberation: Liberation) -> str:
    return ", ".join(map(quoted, liberation.order))


def _after(liberation: Liberation, window: Window, after: Row, schema: pa.Schema) -> Iterator[str]:
    yield from _in_window(liberation, window, schema)
    yield from (f"{quoted(name)} IS NOT NULL" for name in liberation.order)
    if after:
        yield f"({_order(liberation)}) > ({_literals(after)})"


def _without_order(liberation: Liberation, window: Window, schema: pa.Schema) -> str:
    missing = " OR ".join(f"{quoted(name)} IS NULL" for name in liberation.order)
    return " AND ".join([*_in_window(liberation, window, schema), f"({missing})"])


def _literals(values: Row) -> str:
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
