"""What formats and sinks have in common."""
