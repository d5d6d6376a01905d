from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AdstreamError
from common.scaffold.files import TEMPLATES, File, filled, with_row, write

HEAD = "| job | makes |"
rows = st.lists(st.text("ab ", min_size=1).map(lambda text: f"| {text} |"), max_size=4)


@given(rows, rows)
def test_a_row_is_the_last_of_its_table_and_nothing_else_changes(first: list[str], second: list[str]) -> None:
    table = [HEAD, "|---|---|", *first]
    page = ["# Page", "", *table, "", "| other | table |", "|---|---|", *second, "end"]
    found = with_row(File("p", "\n".join(page) + "\n"), HEAD, "| new |").content.splitlines()
    place = 2 + len(table)
    assert found == [*page[:place], "| new |", *page[place:]]


def test_a_page_without_the_table_is_one_line() -> None:
    with pytest.raises(AdstreamError, match=r"README.md has no table '\| job \| makes \|': bring it back"):
        with_row(File("README.md", "# Page\n"), HEAD, "| new |")


def test_every_template_is_filled_in_completely() -> None:
    kinds = sorted(entry.name for entry in TEMPLATES.iterdir() if entry.is_dir())
    assert kinds == ["entity", "event", "job"]
    names = ("stream", "owner", "Record", "namespace", "key_fingerprint", "value_fingerprint")
    words = dict.fromkeys((*names, "job", "JOB", "reads", "writes", "example", "tags"), "word")
    for kind in kinds:
        files = filled(kind, {"NAME": "name", "WRITES": "written"}, words)
        assert files
        assert all("$" not in file.content and "NAME" not in file.path for file in files)


def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    (tmp_path / "page").write_text("page")
    new = [File("a", "x"), File("b", "y")]
    with pytest.raises(AdstreamError, match="b: there already, and nothing is overwritten"):
        write(tmp_path, new, [File("page", "other")])
    assert not (tmp_path / "a").exists()
    assert [(tmp_path / name).read_text() for name in ("b", "page")] == ["mine", "page"]


def test_files_come_with_their_folders(tmp_path: Path) -> None:
    write(tmp_path, [File("deep/er/a", "x")], [])
    assert (tmp_path / "deep" / "er" / "a").read_text() == "x"
