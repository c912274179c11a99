"""What tests/support/prove_watch is made of."""
