"""One file per kind of destination; each defines SINK.

A sink is found by where it stands; see ``detector.delivery.sink``.
"""
