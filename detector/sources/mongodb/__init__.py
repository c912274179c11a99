"""Logs and profiles of MongoDB."""
