from __future__ import annotations

from common.contracts.changes import Breaks, Change, Difference
from common.lineage.collect import collect
from common.lineage.graph import Job, Lineage, Stream
from common.lineage.notice import Notice, Told, misfits, notices, to_json, to_text

CLICKS = Stream("clicks", "serving", 2, "event")
BILL = Job("bill", "topology", "billing", reads=("clicks",))
SEND = Job("send", "topology", "serving", writes=("clicks",))


def change(breaks: Breaks = "nobody", reader: str = "begin anew", consumers: tuple[str, ...] = ()) -> Change:
    return Change("clicks", "serving", consumers, (Difference("partitions: 1 → 2", reader, breaks),))


def notice(changed: Change, *jobs: Job, unfit: dict[str, str] | None = None) -> Notice:
    (found,) = notices([changed], Lineage((CLICKS,), jobs), unfit or {})
    return found


def test_every_reader_is_told_what_it_must_do_and_writers_are_named() -> None:
    found = notice(change(consumers=("finance",)), BILL, SEND)
    assert found.readers == (
        Told("bill", "billing", ("begin anew",)),
        Told("tools of finance", "finance", ("begin anew",)),
    )
    assert found.writers == (Told("send", "serving", ()),)
    assert found.compatible


def test_what_breaks_readers_is_compatible_only_while_there_are_none() -> None:
    assert not notice(change("readers"), BILL).compatible
    assert not notice(change("readers", consumers=("finance",))).compatible
    assert notice(change("readers"), SEND).compatible


def test_what_breaks_the_rules_is_never_compatible() -> None:
    assert not notice(change("rules")).compatible


def test_a_job_that_no_longer_fits_must_be_mended() -> None:
    found = notice(change(reader="nothing"), BILL, SEND, unfit={"send": "field 'x' is missing", "other": "y"})
    assert not found.compatible
    assert found.misfits == ("send",)
    assert found.writers[0].todo == ("be mended: field 'x' is missing",)
    assert found.readers[0].todo == ()


def test_every_job_writes_dead_letters() -> None:
    letters = Job("j", "topology", "t", dead_letters="clicks")
    assert [told.name for told in notice(change(), letters).writers] == ["j"]


def test_it_is_told_as_text_and_as_json() -> None:
    found = notice(change("readers"), BILL)
    assert to_text([found]) == (
        "clicks (serving): NOT COMPATIBLE\n"
        "  partitions: 1 → 2\n"
        "  read by:\n"
        "    bill (billing) must begin anew\n"
        "  written by: no job of this suite"
    )
    (plain,) = to_json([found])
    assert plain["compatible"] is False
    assert plain["readers"] == [{"name": "bill", "team": "billing", "todo": ("begin anew",)}]


def test_every_job_of_the_suite_fits_its_contracts() -> None:
    assert misfits() == {}
    assert notices([], collect(), {}) == ()
