"""Exports of data platforms: a preset each, and what all presets share."""
