"""How many examples a property is tried with, by the profile of the run."""

from __future__ import annotations

from hypothesis import settings

#: What Hypothesis draws where nothing else is said, and the share of it that a quick run draws.
USUAL = 100


def examples(most: int) -> int:
    """``most`` of them; in a quick run a fifth, but never fewer than three."""
    return max(min(most, 3), most * settings().max_examples // USUAL)
