"""`python -m common.engines.local SPEC.json` runs one job."""

from common.engines.entry import entry
from common.engines.local.translate import run

if __name__ == "__main__":
    entry(run)
