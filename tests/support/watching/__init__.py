"""What scripts/prove_watch is made of."""
