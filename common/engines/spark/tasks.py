"""Plain tasks on Spark: one a partition of an RDD, so that a cluster's executors share them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pyspark.sql import SparkSession

from common.engines.spark.submit import environment, session
from common.engines.tasks import SideBySide, answered, answers
from common.runtime.spec import JobSpec

T = TypeVar("T")


@contextmanager
def opened(spec: JobSpec) -> Iterator[SideBySide]:
    """A context with a Spark session whose driver is this process."""
    with _environment(environment(spec)):
        spark = SparkSession.builder.appName(f"adstream {spec.job}").config(map={**session(spec)}).getOrCreate()

    def run(tasks: Sequence[Callable[[], T]], /) -> list[T]:
        return answers(spark.sparkContext.parallelize(tasks, len(tasks)).map(answered).collect())

    try:
        yield run
    finally:
        spark.stop()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for the JVM that is started, which hands them on to its Python workers."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
