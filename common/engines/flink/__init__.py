"""The Flink engine: the topology as one Flink job, on a mini-cluster in this process or on a cluster."""
