"""Thefts to learn from and to drill with, as additions to a ledger's tables."""
