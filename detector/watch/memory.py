"""Memory that was let go goes back to the system, where the C library is glibc."""

from __future__ import annotations

import ctypes
from typing import Final

import pyarrow as pa

#: Of glibc's mallopt (man 3 mallopt): from how many bytes on an allocation is a mapping of its own,
#: and at how many free ones at its end the heap shrinks.
MMAP_THRESHOLD: Final = -3
TRIM_THRESHOLD: Final = -1
THRESHOLD_BYTES: Final = 1 << 18


def reduce_memory() -> None:
    """From now on, what large arrays took goes back at once.

    Else glibc raises the threshold with what is freed, up to 32 MiB, and arrays stay in heaps in
    between what is still used: hundreds of megabytes that nobody has. Arrow's own allocator keeps
    some, too, so it uses the C library's; of polars' see ``cli.start``. Of glibc does nothing where
    there is no mallopt.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(MMAP_THRESHOLD, THRESHOLD_BYTES)
    mallopt(TRIM_THRESHOLD, THRESHOLD_BYTES)
