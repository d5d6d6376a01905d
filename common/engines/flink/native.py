"""Flink's own checkpoints: from which a run that was killed goes on.

    <checkpoint>/flink/<first step>/agenda.json       what the run is to take
    <checkpoint>/flink/<first step>/settings.json     under which settings
    <checkpoint>/flink/<first step>/<job id>/chk-<n>  written by Flink

They belong to the run that begins with `first step`, the one that the suite's checkpoint stands at. Once
that checkpoint has moved on, or where the run can't be gone on with (other settings, other files), they are
worth nothing and the run begins anew from the suite's checkpoint, which always is right.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from common.config.job import JobSettings
from common.engines.flink.sources import Agenda
from common.streams.staging import step_name

AGENDA = "agenda.json"
SETTINGS = "settings.json"
LAYOUT = 2
"""Of what the operators keep: a run that kept another one can't be gone on with."""
FREE = {"parallelism", "checkpoint"}
"""Settings that may change while a run is interrupted."""


@dataclass(frozen=True)
class Unfinished:
    """A run to go on with: what it was to take, and Flink's newest complete checkpoint of it."""

    agenda: Agenda
    path: Path


@dataclass(frozen=True)
class NativeCheckpoints:
    """Flink's checkpoints below the suite's.

    Attributes:
        root: The folder of the suite's checkpoint.
    """

    root: Path

    def folder(self, step: int) -> Path:
        """Where the run that begins with `step` keeps them."""
        return self.root / "flink" / step_name(step)

    def begin(self, step: int, agenda: Agenda, settings: JobSettings) -> None:
        """Before a run: forgets earlier ones and notes what this one is to take."""
        self.clear()
        folder = self.folder(step)
        folder.mkdir(parents=True)
        (folder / SETTINGS).write_text(_text(settings))
        (folder / AGENDA).write_text(agenda.to_json())

    def unfinished(self, step: int, planned: Agenda, settings: JobSettings) -> Unfinished | None:
        """The run that began with `step` and was interrupted, if it can be gone on with.

        Args:
            step: The step that the suite's checkpoint stands at.
            planned: What a run that began now would take.
            settings: The job's settings now.
        """
        folder = self.folder(step)
        newest = max(folder.glob("*/chk-*/_metadata"), key=_number, default=None)
        if newest is None or (folder / SETTINGS).read_text() != _text(settings):
            return None
        agenda = Agenda.from_json((folder / AGENDA).read_text())
        return Unfinished(agenda, newest.parent) if agenda.begins(planned) else None

    def clear(self) -> None:
        """Forgets all runs."""
        shutil.rmtree(self.root / "flink", ignore_errors=True)


def _number(metadata: Path) -> int:
    return int(metadata.parent.name.removeprefix("chk-"))


def _text(settings: JobSettings) -> str:
    return json.dumps({"layout": LAYOUT, "settings": settings.model_dump(exclude=FREE)}, sort_keys=True)
