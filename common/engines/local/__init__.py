"""The local engine: the topology in process, on pyarrow, without a JVM."""
