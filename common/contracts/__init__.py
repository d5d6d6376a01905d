"""Contracts: an Avro schema and the ownership of every stream, with all its versions."""
