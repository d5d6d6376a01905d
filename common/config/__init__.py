"""Typed configuration: file, environment, `--set`."""
