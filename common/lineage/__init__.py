"""Who reads and writes what: the jobs and streams of the suite as one graph, and the events that a run tells of it."""
