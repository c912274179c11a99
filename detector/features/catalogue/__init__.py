"""Families of features, one file each: every module here defines one ``FAMILY``.

``detector.registry.families()`` finds them by location. A family is one way in which a theft
shows; its features are alternatives, so a family's surprise is that of its oddest feature.
"""
