"""The sample model is what its script makes of the sample log: made again, it scores the same."""

from pathlib import Path

import polars as pl
import pytest

TOP = Path(__file__).parents[2]
AGENCY = TOP / "data" / "sample" / "agency"


@pytest.mark.slow
def test_the_sample_model_made_again_gives_the_same_scores(detector, tmp_path):
    common = ["--directory", AGENCY / "directory.csv", "--ledger", tmp_path / "ledger"]
    made = detector(
        "train", AGENCY, *common, "--model", tmp_path / "model", "--until", "2024-02-04",
        "--settings", AGENCY / "detector.toml",
    )  # fmt: skip
    assert made.code == 0
    for model in (TOP / "models" / "agency", tmp_path / "model"):
        ran = detector(
            "score", AGENCY / "2024-02a.parquet", *common, "--model", model,
            "--out", tmp_path / model.parent.name,
        )  # fmt: skip
        assert ran.code == 0
    stored, fresh = (
        pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("models", tmp_path.name)
    )
    assert stored.equals(fresh)
    assert stored["alert_id"].drop_nulls().len() > 0
