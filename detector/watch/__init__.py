"""Follows logs while they are written, and alerts while a theft is under way."""
