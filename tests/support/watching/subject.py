"""Whose logs are followed: the sample agency's, or those that benchmarks/watch.py prepared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
AGENCY = ROOT / "data" / "sample" / "agency"


@dataclass(frozen=True)
class Subject:
    """``logs`` are those that follow, or end, what the model learned."""

    model: Path
    directory: Path
    settings: Path | None
    logs: list[Path]

    @classmethod
    def sample(cls) -> Subject:
        """The sample agency."""
        logs = [AGENCY / f"{name}.parquet" for name in ("2024-02a", "2024-02b", "2024-03")]
        return cls(
            ROOT / "models" / "agency", AGENCY / "directory.csv", AGENCY / "detector.toml", logs
        )

    @classmethod
    def prepared(cls, folder: Path) -> Subject:
        """The agency in a folder of benchmarks/watch.py."""
        agency = folder / "agency"
        return cls(folder / "model", agency / "directory.csv", None, [agency / "2024-02a.parquet"])

    @property
    def flags(self) -> list[str]:
        """Of the command line."""
        found = ["--model", str(self.model), "--directory", str(self.directory)]
        return found if self.settings is None else [*found, "--settings", str(self.settings)]
