from __future__ import annotations

import pyarrow as pa

from common.databases.liberation import Liberation
from common.databases.progress import Window
from common.databases.sql import AHEAD, columns, ends, page, quoted, without_order

TABLE = Liberation.model_validate(
    {
        "table": "shop.advertisement",
        "key": "id",
        "value": {"name": "name", "type": "category"},
        "deleted": "is_deleted",
        "read": {"by": "time", "column": "updated_at"},
        "page": 10,
    }
)
SCHEMA = pa.schema([("id", pa.int64()), ("updated_at", pa.timestamp("us", tz="UTC"))])
FIRST = Window(0, 9, 9, 100)
LATER = Window(7, 9, 9, 100, low=50)


def where(query: str) -> list[str]:
    return query.partition(" WHERE ")[2].partition(" ORDER BY ")[0].split(" AND ")


def test_columns_are_named_once_and_quoted() -> None:
    assert columns(TABLE) == (
        'SELECT "id", "name", "category", "is_deleted", "updated_at" FROM "shop"."advertisement" LIMIT 0'
    )
    assert quoted('a"b') == '"a""b"'


def test_the_first_page_is_of_rows_without_a_key() -> None:
    query = page(TABLE, FIRST, (None, ()), SCHEMA)
    writer, missing = where(query)
    assert writer.endswith(" < 9")
    assert missing == '("id" IS NULL)'
    assert without_order(TABLE, FIRST, SCHEMA).removesuffix(" LIMIT 1").endswith(query.partition(" FROM ")[2])


def test_the_first_window_has_no_low_end() -> None:
    writer, there, to = where(page(TABLE, FIRST, ((), ("9",)), SCHEMA))
    assert writer.endswith(" < 9")
    assert there == '"id" IS NOT NULL'
    assert to == "(\"id\") <= ('9')"


def test_a_page_goes_on_behind_the_last_one() -> None:
    since, until, low, there, after, to = where(page(TABLE, LATER, (("o'1",), ("9",)), SCHEMA))
    assert since.endswith(" >= 7") and until.endswith(" < 9")
    moment = "(timestamptz '1970-01-01 00:00:00+00' + 50 * interval '1 microsecond')"
    assert low == f'("updated_at" >= {moment} OR "updated_at" IS NULL)'
    assert there == '"id" IS NOT NULL'
    assert after == "(\"id\") > ('o''1')"
    assert to == "(\"id\") <= ('9')"


def test_pages_are_planned_from_the_order_columns_alone() -> None:
    query = ends(TABLE, LATER, ("7",), SCHEMA)
    assert query.startswith('SELECT DISTINCT "id" FROM (')
    assert f'ORDER BY "id" LIMIT {10 * AHEAD})' in query
    assert '"name"' not in query


def test_a_query_that_tells_no_transaction_is_read_by_its_column_alone() -> None:
    query = TABLE.model_copy(update={"table": "", "query": "SELECT * FROM ad;"})
    text = page(query, LATER, ((), ("9",)), SCHEMA)
    assert ' FROM (SELECT * FROM ad\n) AS freed WHERE ("updated_at" >= ' in text


def test_all_is_read_whoever_wrote_it() -> None:
    everything = Liberation(table="ad", key="id", value={"name": "name"})
    assert where(page(everything, LATER, (("1",), ("9",)), SCHEMA))[:2] == ['"id" IS NOT NULL', "(\"id\") > ('1')"]


def test_pages_of_a_key_of_several_columns_are_compared_as_a_whole() -> None:
    several = Liberation(table="session", key={"userId": "person", "start": "began"}, value={"actions": "actions"})
    *there, after, to = where(page(several, LATER, (("ada", "5"), ("bob", "1")), SCHEMA))
    assert there == ['"person" IS NOT NULL', '"began" IS NOT NULL']
    assert after == "(\"person\", \"began\") > ('ada', '5')"
    assert to == "(\"person\", \"began\") <= ('bob', '1')"


def test_a_time_without_a_zone_is_taken_for_utc() -> None:
    naive = pa.schema([("updated_at", pa.timestamp("us"))])
    assert "(timestamp '1970-01-01 00:00:00' + 50 * interval" in page(TABLE, LATER, ((), ("9",)), naive)
