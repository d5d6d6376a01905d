"""What a config of the routing job may say, and every mistake in it as one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from common.config.layers import Layers, settings
from common.errors import AdstreamError
from common.topology.checks import check
from jobs.routing.rules import compile_rules
from jobs.routing.settings import Settings
from jobs.routing.topology import topology

CLICKS = {"stream": "routed-clicks", "where": 'value.type == "click"', "key": "value.advertisementId"}
VIEWS = {"stream": "routed-views", "where": 'value.type == "view"', "key": "value.userId"}
HOVER = {
    "where": 'value.type == "hover"',
    "key": "value.userId",
    "value": {"interaction": '"Hover"', "duration": "None"},
}
HIDE = {**HOVER, "where": 'value.type == "hide"'}
MERGED = {"stream": "routed-interactions", "merge": [HOVER, HIDE]}


def of(*branches: dict[str, Any], **others: Any) -> Settings:
    return Settings.model_validate({"branches": branches, **others})


def refused(*branches: dict[str, Any], **others: Any) -> str:
    with pytest.raises(AdstreamError) as caught:
        check(topology(of(*branches, **others)))
    return str(caught.value)


def test_the_rules_that_come_with_the_job_are_fine() -> None:
    plan = check(topology(Settings()))
    assert plan.sinks == ("routed-clicks", "routed-views", "routed-interactions", "unrouted", "dead-letters")


def test_the_example_of_the_readme_is_fine(tmp_path: Path) -> None:
    page = Path("jobs/routing/README.md").read_text()
    (tmp_path / "rules.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    found = settings("routing", Layers(tmp_path / "rules.yaml"))
    assert isinstance(found, Settings)
    assert check(topology(found)).sinks[:2] == ("routed-clicks", "routed-interactions")


def test_settings_survive_their_way_to_an_engine() -> None:
    for chosen in (Settings(), of(CLICKS, MERGED)):
        assert Settings(**chosen.model_dump()) == chosen


def test_fields_without_an_expression_keep_their_name() -> None:
    (branch,) = compile_rules(of(CLICKS)).branches
    names = [field.name for field in branch.contract.arrow.field("value").type]
    assert [f"value.{name}" for name in names] == [e.path for e in branch.rules[0].value]  # type: ignore[union-attr]


@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_a_config_file_says_it_all(tmp_path: Path, suffix: str) -> None:
    toml = (
        '[routing]\nsource = "ad-firehose"\nfilter = "True"\n[[routing.branches]]\nstream = "routed-clicks"\n'
        'where = \'value.type == "click"\'\nkey = "value.advertisementId"\n'
    )
    text = toml if suffix == "toml" else yaml.safe_dump({"routing": {"filter": "True", "branches": [CLICKS]}})
    path = tmp_path / f"rules.{suffix}"
    path.write_text(text)
    assert settings("routing", Layers(path)) == of(CLICKS, filter="True")


@pytest.mark.parametrize(
    ("branch", "message"),
    [
        ({"were": "True"}, "routing.branches.0.were=True: there is no such setting"),
        ({"where": ["a"]}, "routing.branches.0.where=['a']: it must be a valid string"),
        ({"stream": ""}, "routing.branches.0.stream=: string should have at least 1 character"),
        ({"merge": [{}]}, "branch 'routed-clicks' has 'merge' and a rule of its own: put that below 'merge', too"),
    ],
)
def test_a_config_that_is_malformed_is_one_line(tmp_path: Path, branch: dict[str, Any], message: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"routing": {"branches": [{**CLICKS, **branch}]}}))
    with pytest.raises(AdstreamError) as caught:
        settings("routing", Layers(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("branches", "others", "message"),
    [
        ([CLICKS], {"source": "ad-firehos"}, "routing.source: unknown stream 'ad-firehos': did you mean 'ad-firehose'?"),
        ([CLICKS], {"source": "advertisements"}, "routing.source: 'advertisements' has no event time"),
        ([CLICKS], {"filter": "value.seconds"}, "routing.filter: 'value.seconds' gives value.seconds (number)"),
        ([CLICKS], {"filter": "value.type is None"}, "routing.filter: it is never true"),
        (
            [{**CLICKS, "stream": "routed-clics"}],
            {},
            "routing: branch 'routed-clics': unknown stream 'routed-clics': did you mean 'routed-clicks'?",
        ),
        (
            [{**CLICKS, "where": 'value.tipe == "x"'}],
            {},
            "routing: branch 'routed-clicks', where: unknown field 'value.tipe': did you mean 'value.type'?",
        ),
        ([{**CLICKS, "where": "value.type == 3"}], {}, "branch 'routed-clicks', where: '==' between value.type (text)"),
        ([{**CLICKS, "where": "value.type =~ 3"}], {}, "branch 'routed-clicks', where: 'value.type =~ 3' is malformed"),
        ([{**CLICKS, "where": "value.seconds % 2 == 1"}], {}, "'value.seconds % 2' is not part of the language"),
        (
            [{**CLICKS, "value": {"user": "key"}}],
            {},
            "branch 'routed-clicks': 'routed-clicks' has no field 'value.user': did you mean 'userId'?",
        ),
        (
            [{**CLICKS, "value": {"userId": "value.seconds"}}],
            {},
            "branch 'routed-clicks', value.userId: it gives number, but is text in 'routed-clicks': convert it with text(…)",
        ),
        (
            [{**CLICKS, "key": "key"}],
            {},
            "branch 'routed-clicks', key: it gives text, but is integer in 'routed-clicks': convert it with integer(…)",
        ),
        ([{**CLICKS, "key": None}], {}, "branch 'routed-clicks', key: it gives text, but is integer"),
        (
            [{**CLICKS, "value": {"userId": "None"}}],
            {},
            "branch 'routed-clicks', value.userId: it is None, but is never null in 'routed-clicks': give a value",
        ),
        (
            [{"stream": "routed-interactions", **HOVER, "value": {"interaction": '"Hower"', "duration": "None"}}],
            {},
            "value.interaction: 'Hower' is not one of its values: did you mean 'Hover'?",
        ),
        (
            [{"stream": "routed-interactions", **HOVER, "value": {"duration": "None"}}],
            {},
            "branch 'routed-interactions', value.interaction: there is no expression, and 'ad-firehose' has no such field",
        ),
        (
            [{"stream": "routed-interactions", "merge": [HOVER, {**HIDE, "key": "value.seconds"}]}],
            {},
            "branch 'routed-interactions', rule 2, key: it gives number, but is text",
        ),
        ([{**CLICKS, "stream": "ad-sessions", "key": "key"}], {}, "the key of 'ad-sessions' is not a text or an integer"),
        ([CLICKS, VIEWS, CLICKS], {}, "routing: two branches write 'routed-clicks': make them one branch"),
        (
            [{**CLICKS, "where": 'value.type == "a" and value.type == "b"'}],
            {},
            "routing: branch 'routed-clicks', where: it is never true: correct it",
        ),
        (
            [{**VIEWS, "where": "True"}, CLICKS],
            {},
            "routing: branch 'routed-clicks' never gets a record, branch 'routed-views' takes them all: move it up",
        ),
        (
            [{"stream": "routed-interactions", "merge": [HOVER, HOVER]}],
            {},
            "branch 'routed-interactions', rule 2 never gets a record, branch 'routed-interactions', rule 1 takes them all",
        ),
        (
            [CLICKS],
            {"filter": 'value.type != "click"'},
            "routing: branch 'routed-clicks' never gets a record, the filter takes them all",
        ),
        ([{**CLICKS, "stream": "unrouted", "key": "key", "value": dict.fromkeys(
            ("stream", "value", "branch", "reason"), "key") | {"eventTime": "value.createdEventTime"}}], {},
         "writes the stream 'unrouted' from 2 sinks"),
        ([{**CLICKS, "stream": "ad-firehose", "key": "key"}], {}, "both reads and writes the stream 'ad-firehose'"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_one_line(branches: list[dict[str, Any]], others: dict[str, Any], message: str) -> None:
    said = refused(*branches, **others)
    assert message in said
    assert "\n" not in said


def test_no_branches_is_no_job() -> None:
    with pytest.raises(ValueError, match="at least 1 item"):
        of()
