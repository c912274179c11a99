"""Bytes to records: decompression, object stores, blocks of whole records, CSV, JSON, Parquet."""
