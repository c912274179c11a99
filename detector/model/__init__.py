"""Learning from a ledger, and scoring: ensemble, calibration, threshold, and the model folder."""
