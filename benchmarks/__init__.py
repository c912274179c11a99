"""What detector costs beside other ways, and how soon it answers: ``python -m benchmarks --help``.

Each measurement is a process of its own. Receivers and watched offices are those of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

sys.path.append(str(ROOT / "tests" / "support"))
