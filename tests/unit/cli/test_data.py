from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ExitCode
from tests.unit.cli.conftest import Adstream

SAMPLE = Path(__file__).parents[2] / "data" / "open-bandit"


def test_the_sample_is_imported(adstream: Adstream, tmp_path: Path) -> None:
    said = adstream("import", "open-bandit", *SAMPLE.glob("*.csv"), "--output", tmp_path / "ads", "--format", "parquet")
    assert said.code == ExitCode.OK
    assert "10,000" in said.out
    assert list((tmp_path / "ads" / "ad-views").glob("*.parquet"))


def test_taobao_logs_are_imported_and_bad_rows_named(adstream: Adstream, tmp_path: Path) -> None:
    log = tmp_path / "raw_sample.csv"
    log.write_text("user,time_stamp,adgroup_id,pid,nonclk,clk\n1,1494137644,1,430548_1007,1,0\n2,1494137645,1,x,1,1\n")
    said = adstream("import", "taobao-ads", log, "--output", tmp_path / "ads")
    assert said.code == ExitCode.OK
    assert said.err.startswith("1 row left out, raw_sample: 'clk' and 'nonclk' are not 0 and 1; the first:")


def test_streams_are_generated_by_their_options(adstream: Adstream, tmp_path: Path) -> None:
    said = adstream("generate", "--output", tmp_path / "ads", "--events", 100, "--late-by", "3h", "--files", 2)
    assert said.code == ExitCode.OK
    assert len(list((tmp_path / "ads" / "ad-views").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no place for the streams: add --output, or --to-kafka"),
        (("--to-kafka", "b:1", "--span", "1h"), "--span has no meaning for streams that happen now"),
        (("--to-kafka", "b:1", "--output", "ads"), "the streams can't go to --output and --to-kafka"),
        (("--to-kafka", "b:1", "--rate", "0"), "--rate=0: it must be above 0: give events a second"),
        (("--to-kafka", "kafka://b:1"), "'kafka://b:1' is not the address of a broker"),
    ],
)
def test_streams_have_one_place(adstream: Adstream, arguments: tuple[str, ...], message: str) -> None:
    said = adstream("generate", *arguments)
    assert (said.code, message in said.error) == (ExitCode.REFUSED, True), said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate", "--evnts", "1"), "unknown option 'evnts': did you mean 'events'?"),
        (("generate", "--late", "2"), "--late=2: it must be less than or equal to 1"),
        (("generate", "--late-by", "1s"), "late_by (1000 ms) must be above disorder"),
        (("generate", "--late-by", "later"), "--late-by=later: 'later' is not a duration"),
        (("generate", "--format", "delta"), "unknown format 'delta': choose one of avro, jsonl, parquet"),
        (("import", "open-bandit", "none.csv"), "none.csv"),
        (("import", "open-bandit"), "none of the files is impressions.csv"),
        (("import", "taobao"), "taobao-ads"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    adstream: Adstream, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    said = adstream(*arguments, "--output", tmp_path / "ads")
    assert said.code == ExitCode.REFUSED
    assert message in said.error
    assert not (tmp_path / "ads").exists()


def test_a_catalogue_is_made_and_joined(adstream: Adstream, tmp_path: Path) -> None:
    options = ("--changes", "300", "--customers", "5", "--files", "2")
    said = adstream("generate-catalogue", "--output", tmp_path / "in", *options)
    assert said.code == ExitCode.OK, said.err
    assert {path.name for path in (tmp_path / "in").iterdir()} == {
        "advertisement-rows",
        "campaign-rows",
        "customer-rows",
    }
    wrong = adstream("generate-catalogue", "--output", tmp_path / "in2", "--change", "300")
    assert wrong.code == ExitCode.REFUSED and "unknown option 'change': did you mean 'changes'?" in wrong.error


def test_own_csv_becomes_streams_and_the_next_command_is_said(adstream: Adstream, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("uid,ad,ts,clk\nann,7,1767268800,1\nbob,7,1767268800,0\nbob,x,1767268800,0\n")
    said = adstream("import", "csv", tmp_path / "log.csv", "--output", tmp_path / "ads")
    assert said.code == ExitCode.OK
    assert "user=uid, time=ts, advertisement=ad, clicked=clk" in said.out
    assert f"next: adstream run sessions --engine local --input {tmp_path / 'ads'} --output out" in said.out
    assert "1 row left out, log.csv: 'ad' is not a whole number; the first: x" in said.err


def test_a_column_that_is_not_known_is_refused_with_its_option(adstream: Adstream, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,ad,ts,clk\nann,7,1767268800,1\n")
    said = adstream("import", "csv", tmp_path / "log.csv", "--output", tmp_path / "ads")
    assert said.code == ExitCode.REFUSED
    assert said.error.endswith("it has who, ad, ts, clk: say which it is: --user COLUMN")


def test_rows_of_years_go_into_longer_files(adstream: Adstream, tmp_path: Path) -> None:
    days = (f"ann,7,{1_767_268_800 + day * 86_400},0" for day in range(501))
    (tmp_path / "log.csv").write_text("\n".join(["uid,ad,ts,clk", *days, ""]))
    command = ("import", "csv", tmp_path / "log.csv", "--output", tmp_path / "ads")
    refused = adstream(*command)
    assert (refused.code, "choose a longer one, such as --period 30d" in refused.error) == (ExitCode.REFUSED, True)
    assert "--period is 0s: give at least 1ms" in adstream(*command, "--period", "0s").error
    assert adstream(*command, "--period", "30d").code == ExitCode.OK
    assert 17 <= len(list((tmp_path / "ads" / "ad-views").iterdir())) <= 18
