"""Streams as tables: a row a record of events, a row a key of entities."""
