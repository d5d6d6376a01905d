from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from common.cli import compare
from common.cli.compare import (
    SHOWN_BEFORE,
    SHOWN_CHARACTERS,
    Answer,
    Variant,
    first_difference,
    shown_difference,
    verdict,
)
from common.contracts.contract import load
from common.engines import launch, registry
from common.errors import AdstreamError, ExitCode, UnavailableError
from common.streams.materialise import table
from tests.unit.cli.conftest import Adstream, record, write


@pytest.fixture
def answers(adstream: Adstream, ads: Path, tmp_path: Path) -> tuple[Answer, Answer]:
    """The answers under two gaps: they differ."""
    found = []
    for gap in ("30m", "2h"):
        out = tmp_path / gap
        adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", out, "--set", f"gap={gap}")
        left = table(out, "ad-sessions", load("ad-sessions"))
        found.append(Answer(Variant(gap, "batch"), {"sessions": left.num_rows}, 0, {"ad-sessions": left}, 1.0))
    return found[0], found[1]


def test_batch_and_stream_give_one_answer(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    said = adstream("compare", "sessions", "--input", ads, "--engines", "local", "--output", tmp_path / "kept")
    assert said.code == ExitCode.OK
    head, batch, stream, last = (line.split() for line in said.out.splitlines())
    assert head == ["engine", "mode", "sessions", "users", "actions", "late", "hash", "seconds"]
    assert batch[:6] == ["local", "batch", "3", "2", "5", "0"]
    assert stream[:6] == ["local", "stream", "3", "2", "5", "0"]
    assert batch[6] == stream[6]
    assert " ".join(last) == "2 runs, one answer"
    assert (tmp_path / "kept" / "local-stream" / "ad-sessions").is_dir()


def test_a_difference_is_exit_code_1_with_the_first_session(
    answers: tuple[Answer, Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdict(answers) == ExitCode.DIFFERENT
    said = capsys.readouterr().out
    assert "DIFFERENT: 30m-batch and 2h-batch, in 'ad-sessions'" in said
    assert '30m-batch has {"key":{"window":{"start":0,"end":1805000},"userId":"ann"}' in said
    assert '2h-batch has {"key":{"window":{"start":0,"end":10805000},"userId":"ann"}' in said


def test_what_one_lacks_at_the_end_is_a_difference(answers: tuple[Answer, Answer]) -> None:
    whole = answers[0]
    short = replace(
        whole, variant=Variant("short", "batch"), tables={"ad-sessions": whole.tables["ad-sessions"].slice(0, 2)}
    )
    assert short.digest != whole.digest
    assert first_difference(short, whole).startswith('short-batch has nothing more\n30m-batch has {"key":')


def test_a_session_given_twice_is_a_difference(answers: tuple[Answer, Answer]) -> None:
    whole = answers[0]
    twice = replace(
        whole, variant=Variant("twice", "batch"), tables={"ad-sessions": whole.tables["ad-sessions"].take([0, 0, 1, 2])}
    )
    assert verdict([whole, twice]) == ExitCode.DIFFERENT
    assert "twice-batch has" in first_difference(whole, twice)


def test_of_long_records_the_place_where_they_differ_is_shown() -> None:
    one, other = (pa.table({"text": ["a" * 1_000 + last + "b" * 1_000]}) for last in "xy")
    shown = shown_difference(("one", one), ("other", other)).splitlines()
    for line, name, last in zip(shown, ("one", "other"), "xy", strict=True):
        assert line == f"{name} has …{'a' * SHOWN_BEFORE}{last}{'b' * (SHOWN_CHARACTERS - SHOWN_BEFORE - 1)}…"


def test_every_stream_of_an_answer_is_compared(
    answers: tuple[Answer, Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    same, other = (answer.tables["ad-sessions"] for answer in answers)
    one, two = (replace(answers[0], tables={"ad-sessions": same, "ad-engagements": second}) for second in (same, other))
    assert verdict([one, one]) == ExitCode.OK
    assert verdict([one, two]) == ExitCode.DIFFERENT
    assert "in 'ad-engagements'" in capsys.readouterr().out


def test_late_events_explain_a_difference(adstream: Adstream, ads: Path) -> None:
    write(ads / "ad-views" / "2.jsonl", [record("bob", 1, 1)])
    write(ads / "ad-clicks" / "2.jsonl", [])
    said = adstream(
        *("compare", "sessions", "--input", ads, "--engines", "local", "--set", "grace=0"),
        *("--set", "out_of_orderness=0"),
    )
    assert said.code == ExitCode.DIFFERENT
    assert "(+1 late events)" in said.out


def test_an_engine_that_is_not_there_is_listed_with_the_reason(
    adstream: Adstream, ads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def require(engine: str) -> None:
        if engine == "beam":
            raise UnavailableError("engine 'beam' is not available", "install it")

    monkeypatch.setattr(launch, "require", require)
    said = adstream("compare", "sessions", "--input", ads, "--engines", "local,beam")
    assert said.code == ExitCode.OK
    assert "beam-batch: not available (engine 'beam' is not available: install it)" in said.out


def test_nothing_to_compare_is_no_agreement() -> None:
    with pytest.raises(AdstreamError, match="0 answers can't be compared") as caught:
        verdict([])
    assert caught.value.code is ExitCode.UNAVAILABLE


def test_an_unknown_engine_is_refused(adstream: Adstream, ads: Path) -> None:
    said = adstream("compare", "sessions", "--input", ads, "--engines", "local,sparc")
    assert said.code == ExitCode.REFUSED
    assert "unknown engine 'sparc': did you mean 'spark'?" in said.error


def test_every_engine_has_a_variant() -> None:
    assert {variant.engine for variant in compare.VARIANTS} == set(registry.ENGINES)
