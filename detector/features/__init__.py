"""Numbers about an entity at a moment, each relative to what it is expected to do."""
