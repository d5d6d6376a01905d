"""What is asked of a job while it runs: to stop behind its next step, or to go on then in another way.

    <workplace>/_run/order.json    what is asked, until the process that submits the job has seen to it
    <workplace>/_run/stopped       an engine without an end says that its last step is saved

An engine only looks whether there is an order, and ends between two steps. Whoever submitted it reads the order then,
and starts the job again as it says. So the checkpoint is that of a whole step, and no step is taken twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from common.files import staged

ORDER = "_run/order.json"
STOPPED = "_run/stopped"


@dataclass(frozen=True)
class Order:
    """What is asked of a job.

    Attributes:
        goes_on: Whether the job is started again.
        engine: On which engine; empty for the one it runs on.
        parallelism: With how many tasks; 0 for as many as it has.
        options: The options of the engine it moves to.
    """

    goes_on: bool = False
    engine: str = ""
    parallelism: int = 0
    options: Mapping[str, str] = field(default_factory=dict)

    def give(self, workplace: Path) -> None:
        """Lays the order where the job's run finds it, in the place of an earlier one."""
        with staged(workplace / ORDER) as place:
            place.write_text(json.dumps(asdict(self)))

    @classmethod
    def take(cls, workplace: Path) -> Order | None:
        """The order, which is then seen to; None if there is none."""
        path = workplace / ORDER
        try:
            content: dict[str, Any] = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        path.unlink(missing_ok=True)
        (workplace / STOPPED).unlink(missing_ok=True)
        return cls(**content)


def withdrawn(workplace: Path) -> None:
    """Forgets what was asked of an earlier run."""
    for name in (ORDER, STOPPED):
        with suppress(FileNotFoundError, NotADirectoryError):
            (workplace / name).unlink()


def is_ordered(workplace: Path) -> bool:
    """Whether something is asked of the job."""
    return (workplace / ORDER).exists()
