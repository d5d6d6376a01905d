"""The jobs: one folder each, `topology.py` says what flows where."""
