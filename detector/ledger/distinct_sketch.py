"""A sample of those whose records an account read on a day, from which to tell how many they were.

Subjects come as keyed hashes, which are as good as random. Of many, the K smallest are kept, as of
each hour of the day so far (a bottom-k all-distances sketch: Cohen 2015, IEEE TKDE 27): a subject
stays where fewer than K smaller ones were read by its first hour, which leaves 3.8 K of a day at
the most on average. Fewer than K subjects are counted exactly. Beyond, the K-th smallest hash tells
how many there were (Bar-Yossef et al. 2002, RANDOM), with a relative standard error below
1 / sqrt(K - 2), 3 %. Sketches merge in any order, with nothing lost: who is left out of a part has
K smaller ones in it, and is left out of the whole.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.core.schema import SUBJECT
from detector.privacy.subject_hash import SIZE

#: Subjects kept of an account's day, as of each hour of it.
K: Final = 1024
#: Hashes lie below.
HASH_RANGE: Final = float(1 << 8 * SIZE)

Hashes = NDArray[np.int64]


def thin(touched: pl.DataFrame) -> pl.DataFrame:
    """TOUCHED with no more subjects than are kept; each is there once."""
    days = ["day", "account"]
    mine = pl.col("dimension") == SUBJECT
    many = touched.lazy().filter(mine).group_by(days).len().filter(pl.col("len") > K).collect()
    if many.is_empty():
        return touched
    large = touched.with_row_index("at").filter(mine).join(many, on=days, how="semi")
    gone = [
        part["at"].filter(
            ~pl.Series(sketch_mask(decode(part["value"]), part["first_hour"].to_numpy()))
        )
        for part in large.partition_by(days)
    ]
    at = pl.int_range(0, touched.height, dtype=pl.UInt32, eager=True)
    return touched.filter(~at.is_in(pl.concat(gone).implode()))


def draw(subjects: int, random: np.random.Generator) -> Hashes:
    """The K smallest hashes of so many subjects whom nobody read before; all where they are fewer.

    In order, chance numbers lie apart like exponential ones, divided by the sum of all.
    """
    kept = min(subjects, K)
    steps = random.exponential(size=kept)
    beyond = random.gamma(subjects + 1 - kept)
    places = np.cumsum(steps) / (steps.sum() + beyond)
    found: Hashes = (places * HASH_RANGE).astype(np.int64)
    return found


def encode(hashes: Hashes) -> list[str]:
    """Hashes as TOUCHED has them."""
    return [f"{each:0{2 * SIZE}x}" for each in hashes.tolist()]


def decode(values: pl.Series) -> Hashes:
    """The hashes of TOUCHED as whole numbers from 0 to RANGE."""
    found: Hashes = values.cast(pl.String).str.to_integer(base=16).to_numpy()
    return found


def coverage(hashes: Hashes) -> float:
    """The share of all hashes below which ``hashes``, a sketch in order, has all: up to 1."""
    return float(hashes[K - 1]) / HASH_RANGE if len(hashes) >= K else 1.0


def sketch_mask(hashes: Hashes, hours: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of an account's day stay in its sketch, by the hours in which they were first read."""
    stay = np.zeros(len(hashes), dtype=np.bool_)
    least = hashes[:0]
    for hour in np.unique(hours):
        now = hours == hour
        least = np.sort(np.concatenate([least, hashes[now]]))[:K]
        stay |= now & (hashes <= least[-1])
    return stay
