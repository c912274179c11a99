"""Receivers of alerts for tests and for scripts/prove_delivery, on loopback."""
