"""What lies on disk: schemas, shard files, score and decision tables, picture decoding."""
