"""What the output of the anomalies job holds, for the table after a run."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import load
from common.operators.session_rules import LENGTH, NO_PAUSE
from common.streams.materialise import table
from jobs.anomalies.records import STREAM
from jobs.anomalies.rules import CLICK_RATE, CLICK_THROUGH, OF_USERS


def report(output: Path) -> dict[str, int | str]:
    """Findings after all corrections, by kind, whom they are about, and the user with most of them.

    Args:
        output: The output folder of a run.
    """
    kind, subject = subjects(output)
    of_users = pc.is_in(kind, value_set=pa.array(OF_USERS))
    users = subject.filter(of_users)
    return {
        **{name: pc.sum(pc.equal(kind, name)).as_py() or 0 for name in (CLICK_RATE, CLICK_THROUGH, LENGTH, NO_PAUSE)},
        "users": pc.count_distinct(users).as_py(),
        "advertisements": pc.count_distinct(subject.filter(pc.invert(of_users))).as_py(),
        "most findings": _most(users),
    }


def subjects(output: Path) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The kind and the subject of each finding that stands.

    Args:
        output: The output folder of a run.
    """
    key = table(output, STREAM, load(STREAM))["key"]
    return pc.struct_field(key, "kind"), pc.struct_field(key, "subject")


def _most(users: pa.ChunkedArray) -> str:
    """The user with most findings; the first by name of several."""
    if len(users) == 0:
        return "none"
    counted = pa.table({"user": users}).group_by("user").aggregate([("user", "count")])
    first = counted.sort_by([("user_count", "descending"), ("user", "ascending")]).slice(0, 1).to_pylist()[0]
    return f"{first['user_count']:,} about user {first['user']}"
