from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from common.databases.liberation import Liberation
from common.databases.progress import Progress, Window
from common.databases.sql import columns, page, quoted

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
FIRST = Progress(window=Window(0, 9, 9, 100))
LATER = Progress(window=Window(7, 9, 9, 100, low=50), after=("o'1",))


def where(query: str) -> list[str]:
    return query.partition(" WHERE ")[2].partition(" ORDER BY ")[0].split(" AND ")


def test_columns_are_named_once_and_quoted() -> None:
    assert columns(TABLE) == (
        'SELECT "id", "name", "category", "is_deleted", "updated_at" FROM "shop"."advertisement" LIMIT 0'
    )
    assert quoted('a"b') == '"a""b"'


def test_the_first_page_is_of_rows_without_a_key() -> None:
    writer, missing = where(page(TABLE, FIRST, SCHEMA))
    assert writer.endswith(" < 9")
    assert missing == '("id" IS NULL)'


def test_the_first_window_has_no_low_end() -> None:
    writer, there = where(page(TABLE, replace(FIRST, after=()), SCHEMA))
    assert writer.endswith(" < 9")
    assert there == '"id" IS NOT NULL'


def test_a_page_goes_on_behind_the_last_one() -> None:
    query = page(TABLE, LATER, SCHEMA)
    since, until, low, there, after = where(query)
    assert since.endswith(" >= 7") and until.endswith(" < 9")
    moment = "(timestamptz '1970-01-01 00:00:00+00' + 50 * interval '1 microsecond')"
    assert low == f'("updated_at" >= {moment} OR "updated_at" IS NULL)'
    assert there == '"id" IS NOT NULL'
    assert after == "(\"id\") > ('o''1')"
    assert query.endswith(' ORDER BY "id" FETCH FIRST 10 ROWS WITH TIES')


def test_a_planned_page_ends_where_it_was_planned_to() -> None:
    assert where(page(TABLE, replace(LATER, to=("9",)), SCHEMA))[-1] == "(\"id\") <= ('9')"


def test_a_query_that_tells_no_transaction_is_read_by_its_column_alone() -> None:
    query = TABLE.model_copy(update={"table": "", "query": "SELECT * FROM ad;"})
    text = page(query, LATER, SCHEMA)
    assert ' FROM (SELECT * FROM ad\n) AS freed WHERE ("updated_at" >= ' in text


def test_all_is_read_whoever_wrote_it() -> None:
    everything = Liberation(table="ad", key="id", value={"name": "name"})
    assert where(page(everything, LATER, SCHEMA)) == ['"id" IS NOT NULL', "(\"id\") > ('o''1')"]


def test_pages_of_a_key_of_several_columns_are_compared_as_a_whole() -> None:
    several = Liberation(table="session", key={"userId": "person", "start": "began"}, value={"actions": "actions"})
    *there, after = where(page(several, replace(LATER, after=("ada", "5")), SCHEMA))
    assert there == ['"person" IS NOT NULL', '"began" IS NOT NULL']
    assert after == "(\"person\", \"began\") > ('ada', '5')"


def test_a_time_without_a_zone_is_taken_for_utc() -> None:
    naive = pa.schema([("updated_at", pa.timestamp("us"))])
    assert "(timestamp '1970-01-01 00:00:00' + 50 * interval" in page(TABLE, LATER, naive)
