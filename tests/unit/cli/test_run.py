from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from common.cli.run import balance, show
from common.config.jobs import report_of
from common.engines.launch import LOCK, LOG, only_run
from common.errors import ExitCode
from common.runtime.checkpoint import Checkpoint
from common.runtime.orders import Order, is_ordered
from common.runtime.spec import SPEC, JobSpec
from common.runtime.summary import Summary
from tests.unit.cli.conftest import Adstream, record, write


def values(table: str) -> dict[str, str]:
    """The rows of a printed table."""
    rows = [line.strip("│ ").split("│") for line in table.splitlines() if line.startswith("│")]
    return {name.strip(): value.strip() for name, value in rows}


def test_a_batch_run_prints_what_came_out_and_its_balance(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert said.code == ExitCode.OK
    shown = values(said.out)
    del shown["seconds"]
    assert shown == {
        "sessions": "3",
        "users": "2",
        "actions": "5",
        "longest session": "5s, 2 actions, user ann",
        "late": "0",
        "dead letters": "1",
        "where": str(tmp_path / "out"),
    }
    assert said.out.splitlines()[-1] == (
        "balance: 6 records in = 5 actions out + 0 actions open + 0 duplicates + 0 late + 1 dead letters"
    )


def test_an_output_below_this_folder_is_told_as_it_was_typed(
    adstream: Adstream, ads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", "kept/out")
    assert values(said.out)["where"] == "kept/out"


def test_a_stream_run_goes_on_where_it_stopped_and_ends_when_drained(
    adstream: Adstream, ads: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", out, "--mode", "stream")
    stopped = adstream(*line, "--until-caught-up")
    assert values(stopped.out)["sessions"] == "2"
    assert "3 actions out + 2 actions open" in stopped.out
    drained = adstream(*line, "--drain")
    assert values(drained.out)["sessions"] == "3"
    assert "5 actions out + 0 actions open" in drained.out
    assert "step 2: watermark end" in drained.err
    assert (out / "_checkpoint" / "manifest.json").exists()


def test_what_users_wrote_is_printed_as_it_is(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    write(ads / "ad-views" / "2.jsonl", [record("[/red]", 1, 7_200_000), record("[/red]", 1, 8_000_000)])
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "[out]")
    assert values(said.out)["longest session"].endswith("user [/red]")
    assert values(said.out)["where"] == str(tmp_path / "[out]")


def test_what_went_to_a_broker_is_not_counted_in_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"records_in": 4, "late": 4}
    there = Summary("sessions", "local", "stream", str(tmp_path), metrics, ("late",), 1, 0, 1.0)
    assert show(there, "kafka://broker:9092") == ExitCode.OK
    shown = values(capsys.readouterr().out)
    assert "sessions" not in shown
    assert shown["where"] == "kafka://broker:9092"


def test_settings_reach_the_job(adstream: Adstream, ads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "job.toml"
    config.write_text('[sessions]\ngap = "1s"\nbuckets = 8\n')
    monkeypatch.setenv("ADSTREAM_BUCKETS", "4")
    out = tmp_path / "out"
    said = adstream(
        *("run", "sessions", "--engine", "local", "--input", ads, "--output", out),
        *("--config", config, "--set", "gap=2h"),
    )
    assert values(said.out)["sessions"] == "2"
    spec = json.loads((out / "_run" / "spec.json").read_text())
    assert (spec["settings"]["gap"], spec["settings"]["buckets"]) == (7_200_000, 4)


def test_output_of_an_earlier_run_is_refused_unless_overwritten(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert adstream(*line).code == ExitCode.OK
    again = adstream(*line)
    assert again.code == ExitCode.REFUSED
    assert "of an earlier run: add --overwrite, or choose another --output" in again.error
    assert adstream(*line, "--mode", "stream", "--drain").code == ExitCode.REFUSED
    assert adstream(*line, "--overwrite", "--set", "gap=2h").code == ExitCode.OK
    assert report_of("sessions", tmp_path / "out")["sessions"] == 2


def test_a_run_that_ended_before_anything_was_saved_goes_on_in_its_own_output(
    adstream: Adstream, ads: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--mode", "stream", "--until-caught-up")
    adstream(*line, "--output", out)
    (out / "_checkpoint" / "manifest.json").unlink()
    shutil.copytree(out / "ad-sessions", other / "ad-sessions")
    elsewhere = adstream(*line, "--output", other, "--checkpoint", out / "_checkpoint")
    assert elsewhere.code == ExitCode.REFUSED and "of an earlier run" in elsewhere.error
    again = adstream(*line, "--output", out)
    assert again.code == ExitCode.OK and "step 0:" in again.err
    assert values(again.out)["sessions"] == "2"
    Checkpoint(str(out / "_checkpoint")).clear(out / "_checkpoint")
    assert adstream(*line, "--output", out).code == ExitCode.REFUSED


def test_overwriting_a_stream_run_forgets_its_checkpoint(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out", "--mode", "stream")
    adstream(*line, "--until-caught-up")
    assert "step 0:" in adstream(*line, "--until-caught-up", "--overwrite").err


def test_the_input_is_also_called_the_source(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    said = adstream("run", "sessions", "--engine", "local", "--source", ads, "--output", tmp_path / "out")
    assert values(said.out)["sessions"] == "3"


def test_metrics_are_served_on_this_machine_only_unless_told_otherwise(
    adstream: Adstream, ads: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", out, "--mode", "stream", "--drain")
    said = adstream(*line, "--metrics-port", 0)
    assert said.code == ExitCode.OK
    assert "metrics at http://127.0.0.1:" in said.err
    adstream(*line, "--metrics-port", 9108, "--metrics-host", "0.0.0.0", "--print-command")  # noqa: S104
    assert json.loads((out / "_run" / "spec.json").read_text())["metrics"] == "0.0.0.0:9108"


def test_the_command_is_printed_and_not_run(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", out, "--print-command")
    assert said.code == ExitCode.OK
    assert said.out.strip().endswith(f"-m common.engines.local {out / '_run' / 'spec.json'}")
    assert not (out / "ad-sessions").exists()
    assert (out / "_run" / "spec.json").exists()


def test_verbose_shows_all_that_the_engine_prints(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    said = adstream(*line, "--mode", "stream", "--drain", "--verbose")
    assert said.err == (tmp_path / "out" / LOG).read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"job": "sesions"}, "unknown job 'sesions': did you mean 'sessions'?"),
        ({"--engine": "sparc"}, "unknown engine 'sparc': did you mean 'spark'?"),
        ({"--mode": "streem"}, "unknown mode 'streem': did you mean 'stream'?"),
        ({"--format": "parket"}, "unknown format 'parket': did you mean 'parquet'?"),
        ({"--format": "csv"}, "unknown format 'csv': choose one of avro, delta, jsonl, parquet"),
        ({"--input": "nowhere"}, "nowhere' does not exist"),
        ({"--set": "gpa=1m"}, "--set gpa=1m: unknown setting 'gpa': did you mean 'gap'?"),
        ({"--set": "gap=soon"}, "--set gap=soon: 'soon' is not a duration: write 30m, 90s, 1h30m, 250ms or 2d"),
        ({"--config": "none.yaml"}, "config file 'none.yaml': no such file: check the path"),
        ({"--option": "master"}, "--option master: not a pair: write --option KEY=VALUE"),
        ({"--option": "master=local"}, "engine 'local': unknown option 'master': there is none"),
        ({"--metrics-port": "9108"}, "--metrics-port has no meaning in batch mode: leave it out, or add --mode stream"),
        ({"--drain": None}, "--drain has no meaning in batch mode: leave it out, or add --mode stream"),
        ({"--until-caught-up": None}, "--until-caught-up has no meaning in batch mode"),
        (
            {"--sink": "out"},
            "sink 'out' is not the address of a broker: write kafka://HOST:PORT?registry=URL, or leave it out",
        ),
        (
            {"--mode": "stream", "--checkpoint": "s3://"},
            "storage 's3://' can't be opened (it names no bucket): write s3://BUCKET/PATH?endpoint_override=HOST:PORT",
        ),
        ({"--bogus": "1"}, "--bogus"),
        ({"--set": None}, "--set"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    adstream: Adstream, ads: Path, tmp_path: Path, change: dict[str, str | None], message: str
) -> None:
    options = {"job": "sessions", "--engine": "local", "--input": str(ads), "--output": str(tmp_path / "out"), **change}
    job = options.pop("job")
    said = adstream("run", job, *(word for pair in options.items() for word in pair if word is not None))
    assert said.code == ExitCode.REFUSED
    assert said.error.startswith("adstream: ")
    assert message in said.error
    assert not (tmp_path / "out" / "_run").exists()


def test_a_missing_stream_folder_is_refused(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    shutil.rmtree(ads / "ad-clicks")
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert said.code == ExitCode.REFUSED
    assert "ad-clicks" in said.error


def test_an_input_of_another_kind_is_refused(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    (ads / "ad-clicks" / "2.csv").write_text("user,ad\n")
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert said.code == ExitCode.REFUSED
    assert "2.csv" in said.error


def test_an_unreadable_file_stops_the_engine_with_one_line(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    (ads / "ad-clicks" / "2.parquet").write_bytes(b"no parquet")
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert said.code == ExitCode.REFUSED
    assert "2.parquet" in said.error
    assert "Traceback" not in (tmp_path / "out" / LOG).read_text()


def test_an_output_that_is_a_file_is_refused(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert said.code == ExitCode.REFUSED
    assert "is not a folder: choose another --output" in said.error


@pytest.mark.parametrize(("assignment", "was"), [("buckets=8", "buckets=64"), ("gap=1h", "sessions.gap=1800000")])
def test_a_checkpoint_of_other_parameters_is_refused_before_the_engine_starts(
    adstream: Adstream, ads: Path, tmp_path: Path, assignment: str, was: str
) -> None:
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out", "--mode", "stream")
    adstream(*line, "--until-caught-up")
    said = adstream(*line, "--until-caught-up", "--set", assignment)
    assert said.code == ExitCode.REFUSED
    assert f"made with {was}" in said.error


def test_a_second_run_into_one_output_is_refused(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    lock = tmp_path / "out" / LOCK
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    assert said.code == ExitCode.REFUSED
    assert "another run is writing to it" in said.error


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", [("--mode", "batch"), ("--mode", "stream", "--drain")])
@pytest.mark.parametrize("options", [("--overwrite", "--set", "gap=2h"), ("--overwrite", "--print-command")])
def test_a_run_beside_one_that_runs_changes_nothing(
    adstream: Adstream, ads: Path, tmp_path: Path, mode: tuple[str, ...], options: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", out)
    adstream(*line, "--mode", "stream", "--until-caught-up")
    spec = JobSpec.load(out / SPEC)
    Order().give(spec.workplace)
    before = files(out)
    with only_run(spec):
        said = adstream(*line, *mode, *options)
    assert (said.code, "another run is writing to it" in said.error) == (ExitCode.REFUSED, True)
    assert files(out) == before and is_ordered(spec.workplace)


def test_a_batch_run_drops_no_checkpoint_that_a_job_goes_on_with(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--checkpoint", tmp_path / "kept")
    adstream(*line, "--output", tmp_path / "out", "--mode", "stream", "--until-caught-up")
    before = files(tmp_path / "kept")
    with only_run(JobSpec.load(tmp_path / "out" / SPEC)):
        said = adstream(*line, "--output", tmp_path / "other", "--overwrite")
    assert said.code == ExitCode.REFUSED and "kept': another run is writing to it" in said.error
    assert files(tmp_path / "kept") == before


def test_a_printed_command_deletes_nothing(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", out, "--mode", "stream")
    adstream(*line, "--until-caught-up")
    before = files(out)
    assert adstream(*line, "--overwrite", "--print-command").code == ExitCode.OK
    after = files(out)
    assert {path: after.get(path) for path in before if path != out / SPEC} == {
        path: content for path, content in before.items() if path != out / SPEC
    }


def test_records_that_are_unaccounted_for_are_shown_loudly(
    adstream: Adstream, ads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out")
    metrics = {"records_in": 1_000, "actions_out": 990, "late": 4}
    lossy = Summary("sessions", "local", "batch", str(tmp_path / "out"), metrics, ("actions_out", "late"), 1, 0, 1.0)
    assert show(lossy) == ExitCode.DIFFERENT
    assert (
        "NOT BALANCED, 6 records unaccounted for: 1,000 records in = 990 actions out + 4 late"
        in capsys.readouterr().out
    )


def test_a_balance_names_its_terms() -> None:
    assert balance({"records_in": 3, "late": 3}, ("late", "dead_letters")) == "3 records in = 3 late + 0 dead letters"


def test_a_check_starts_nothing_and_changes_nothing(adstream: Adstream, ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ("run", "sessions", "--engine", "local", "--input", ads, "--output", out, "--mode", "stream")
    said = adstream(*line, "--check")
    assert (said.code, said.out) == (ExitCode.OK, "sessions on local: all checks passed\n")
    assert list(out.iterdir()) == []
    adstream(*line, "--until-caught-up")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert adstream(*line, "--check", "--overwrite").code == ExitCode.OK
    refused = adstream(*line, "--check", "--set", "gap=1s")
    assert refused.code == ExitCode.REFUSED
    assert "but the job has sessions.gap=1000" in refused.error
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
