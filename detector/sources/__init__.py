"""Log formats, one file each: every module here defines one ``SOURCE``.

``detector.registry.sources()`` finds them by location. Shared machinery (blocks of bytes,
column mapping, rejects) is in ``detector.reading``.
"""
