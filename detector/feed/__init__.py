"""What the formats share: an alert's story in a SIEM's words, safe text, and the syslog frame."""
