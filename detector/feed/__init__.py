"""What formats and sinks share: an alert's story in a SIEM's words, safe text, and the ways out."""
