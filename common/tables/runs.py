"""The run of a job that may deliver: its number is written down here, and where its tables are."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

RUN = "_run/landing.json"
"""Below the output folder: the number of the run that may deliver, for the processes in which it does."""


def begin(root: str) -> int:
    """Writes down a new run; gives its number, which fits in 62 bits."""
    number = uuid4().int >> 66
    path = Path(root, RUN)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"run": number}))
    return number


def running(root: str) -> int:
    """The number of the run that was begun last below an output folder."""
    return int(json.loads(Path(root, RUN).read_text())["run"])
