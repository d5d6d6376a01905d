"""`spark-submit common/engines/spark/__main__.py SPEC.json` runs one job; `submit.command` writes the whole line."""

from common.engines.entry import entry
from common.engines.spark.translate import run

if __name__ == "__main__":
    entry(run)
