"""`python -m common.engines.flink SPEC.json` runs one job; `flink run -py` of this file submits it to a cluster."""

from common.engines.entry import entry
from common.engines.flink.translate import run

if __name__ == "__main__":
    entry(run)
