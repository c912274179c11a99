"""The proof that alerts arrive whatever happens: see tests/support/prove_delivery."""
