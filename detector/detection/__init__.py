"""Scoring: the days of a ledger, at once, in parts, or while they run; and the alerts of them."""
