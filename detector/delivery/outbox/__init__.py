"""What waits between detection and the sinks, and how it is sent."""
