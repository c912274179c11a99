"""What is kept of a log: two tables that merge, by day, in Parquet."""
