"""When to try again: exponential backoff with jitter, kept in the outbox, so that it survives.

The k-th attempt in a row that fails is followed by a pause of between half and the whole of
FIRST * 2**(k-1) seconds, LONGEST at most ("equal jitter":
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and never less than the
server asked for by Retry-After. A library would forget the schedule with its process.
"""

from __future__ import annotations

import random
from typing import Final

FIRST_PAUSE: Final = 2.0
MAX_PAUSE: Final = 900.0
#: A pause beyond this is no schedule of ours: the clock was set back.
MAX_PLAUSIBLE_PAUSE: Final = 2 * 86_400.0


def pause(attempts: int, retry_after: float | None, chance: random.Random) -> float:
    """Seconds after so many failures in a row, at least one."""
    whole = min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 30))
    return max(whole * (0.5 + chance.random() / 2), retry_after or 0.0)


def seconds_until_due(next_try: float, now: float) -> float:
    """Seconds until ``next_try``."""
    left = next_try - now
    return 0.0 if left <= 0 or left > MAX_PLAUSIBLE_PAUSE else left
