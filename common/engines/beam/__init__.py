"""The Beam engine: the topology as one Beam pipeline, on any runner."""
