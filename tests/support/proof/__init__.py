"""The proof that alerts arrive whatever happens: see scripts/prove_delivery."""
