"""What measures and shows detector: an invented agency whose truth is known, and a small office.

The agency's log is drawn from a seed; the office is played on real servers. Nothing in detector
imports this package. From the project's folder: python -m simulation.make_agency --help
"""
