"""Isolation forests, calibration, and the model folder."""
