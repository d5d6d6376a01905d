"""Real services as local processes, from packages and without containers: for trying jobs, and for tests."""
