"""`python -m common.engines.beam SPEC.json` runs one job."""

from common.engines.beam.translate import run
from common.engines.entry import entry

if __name__ == "__main__":
    entry(run)
