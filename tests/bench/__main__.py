"""`python -m tests.bench [PART…]` measures, prints the report, and exits with 1 when a floor was missed."""

from __future__ import annotations

import os
import sys

from common.engines.entry import interrupt_when_terminated
from common.names import pick
from tests.bench.parts import PARTS
from tests.bench.report import Line, show


def main(names: list[str]) -> int:
    """Measures the named parts, or all."""
    interrupt_when_terminated()  # what was started is stopped then, too
    lines: list[Line] = []
    for name in names or PARTS:
        for line in PARTS[pick("part", name, PARTS)]():
            lines.append(line)
            print("  ".join(line.cells()), flush=True)
    print(f"\n{os.cpu_count()} cores; load is the average of the minute before. Rates are those of warm runs.\n")
    show(lines)
    return 0 if all(line.met for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
