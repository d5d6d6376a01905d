"""Streams on a broker: Kafka topics with a schema registry, read and written in steps."""
