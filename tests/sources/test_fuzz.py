"""A short run of the fuzzer over every format; see ``fuzzing`` for the long one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fuzzing import fault, mutants, samples

SAMPLES = {sample.name: sample for sample in samples()}
ROUNDS = 2


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_mutated_lines_raise_nothing_and_are_all_counted(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    for _ in range(ROUNDS):
        data = mutants(SAMPLES[name], rng)
        assert not fault(SAMPLES[name], data, tmp_path / "fuzzed.log")


def test_every_text_format_is_fuzzed() -> None:
    from detector import registry

    missing = set(registry.sources()) - {sample.source.name for sample in SAMPLES.values()}
    assert missing == {"parquet"}
