"""Log formats, in a package for each vendor: a module that defines ``SOURCE`` is one format.

``detector.registry.sources()`` finds them by location. Machinery that vendors share is in
``detector.readers`` (bytes to records) and ``detector.normalize`` (records to events).
"""
