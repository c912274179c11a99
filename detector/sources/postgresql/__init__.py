"""Logs of PostgreSQL, with pgaudit and auto_explain."""
