"""Files with columns of their own: CSV, NDJSON, Parquet, an application's access log."""
