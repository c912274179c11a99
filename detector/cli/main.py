"""The entry point: what libraries must be told before they are loaded."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

#: jemalloc, by which polars allocates, reads it once, when it is loaded (jemalloc.net/jemalloc.3):
#: what is freed goes back to the system at once. Else a watcher of 5,000 accounts holds some 150 MB
#: more that nobody uses.
ALLOCATOR: Final = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")


def configure_allocator() -> None:
    """For what runs for months: polars gives back what it frees. Of no use once it is loaded."""
    os.environ.setdefault(*ALLOCATOR)


def run() -> None:
    """The command ``detector``."""
    if sys.argv[1:2] == ["watch"]:
        configure_allocator()
        # Who asks a watcher to read its settings anew must not end one that is about to read them.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from detector.cli.app import run as command

    command()
