"""The notebooks are run from their first cell to their last."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
SECONDS = 600
"""A cell's limit, for a machine that is much slower than those on which each notebook takes less than two minutes."""
MARKS = {
    "late-data": (),  # the quick one: it guards each change
    "explore": (pytest.mark.notebooks,),
    "own-operator": (pytest.mark.notebooks,),
    "three-engines": (pytest.mark.notebooks, pytest.mark.spark, pytest.mark.flink),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in MARKS.items()])
def test_it_runs(name: str) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(ROOT / "notebooks")}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/svg+xml" in output.get("data", ()) for output in outputs) or name == "own-operator"


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == set(MARKS)
