"""Where alerts go: formats, sinks, and the outbox between detection and both."""
