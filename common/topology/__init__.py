"""A job as a value: what flows where, before any engine is chosen."""
