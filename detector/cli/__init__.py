"""The command line: prints and asks, never computes."""
