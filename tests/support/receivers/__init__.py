"""Receivers of alerts for tests and for tests/support/prove_delivery, on loopback."""
