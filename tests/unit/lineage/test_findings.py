from __future__ import annotations

from dataclasses import replace

from common.lineage.findings import Crossing, Finding, crossings, findings, hops
from common.lineage.graph import Job, Lineage, Stream

CLICKS = Stream("clicks", "serving", 1, "event", pii=("key",))
BILLS = Stream("bills", "billing", 1, "entity", financial=("value.sum",), consumers=("billing",))
LATE = Stream("late", "platform", 1, "event", consumers=("platform",))
BILL = Job("bill", "topology", "billing", reads=("clicks",), writes=("bills", "late"))
ALL_IS_WELL = Lineage((CLICKS, BILLS, LATE), (BILL,))


def found(lineage: Lineage) -> list[tuple[str, str]]:
    return [(finding.kind, finding.subject) for finding in findings(lineage)]


def test_nothing_is_found_where_all_is_well() -> None:
    assert findings(ALL_IS_WELL) == ()


def test_a_stream_that_another_team_reads_is_a_boundary() -> None:
    told = replace(BILLS, consumers=("billing", "finance"))
    assert crossings(Lineage((CLICKS, told, LATE), (BILL,))) == (
        Crossing("clicks", "serving", "bill", "billing"),
        Crossing("bills", "billing", "", "finance"),
    )


def test_personal_data_is_followed_and_money_also_traced_back() -> None:
    assert [(hop.stream, hop.fields, hop.target, hop.into, hop.crosses) for hop in hops(ALL_IS_WELL, "pii")] == [
        ("clicks", ("key",), "bills", (), True),
        ("clicks", ("key",), "late", (), True),
    ]
    assert [(hop.stream, hop.fields, hop.target, hop.into) for hop in hops(ALL_IS_WELL, "financial")] == [
        ("clicks", (), "bills", ("value.sum",))
    ]


def test_a_deprecated_stream_is_found_while_somebody_reads_it() -> None:
    old = replace(CLICKS, deprecated="read clicks-2")
    (finding,) = findings(Lineage((old, BILLS, LATE), (BILL,)))
    assert finding == Finding("deprecated", "clicks", "deprecated, and still read by bill: read clicks-2")
    unread = Lineage((replace(old, consumers=("finance",)),), ())
    assert "still read by team finance" in findings(unread)[0].text


def test_a_stream_and_a_job_that_nobody_needs_are_found() -> None:
    assert found(Lineage((CLICKS, replace(BILLS, consumers=()), LATE), (BILL,))) == [
        ("orphaned stream", "bills"),
        ("orphaned job", "bill"),
    ]


def test_an_outbox_is_not_orphaned_as_applications_say_what_it_writes() -> None:
    outbox = Job("outbox", "outbox", "platform", any_stream=True)
    assert found(Lineage(ALL_IS_WELL.streams, (BILL, outbox))) == []


def test_two_writers_are_found_but_not_of_what_belongs_to_the_operation() -> None:
    twin = replace(BILL, name="bill-again")
    assert found(Lineage(ALL_IS_WELL.streams, (BILL, twin))) == [("several writers", "bills")]


def test_tagged_fields_stay_tagged_in_a_table_that_is_kept() -> None:
    land = Job("land", "topology", "platform", reads=("clicks", "bills"), keeps=("clicks", "bills"))
    lineage = Lineage(ALL_IS_WELL.streams, (land,))
    assert [(hop.target, hop.into, hop.crosses) for hop in hops(lineage, "pii")] == [("table clicks", ("key",), True)]
    assert [hop.target for hop in hops(lineage, "financial")] == ["table bills"]
    assert found(lineage) == []
