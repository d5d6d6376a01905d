"""The Spark engine: batch jobs, and structured streaming whose state is the suite's own checkpoint."""
