"""Files as streams: a folder is a broker, `DIR/<stream>/*.jsonl|*.avro|*.parquet`."""
