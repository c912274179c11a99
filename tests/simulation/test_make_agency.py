from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from detector.readers.discovery import expand
from simulation import make_agency
from simulation.agency import Agency

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "agency"
SMALL = ["--accounts", "30", "--days", "45", "--theft-days", "5", "--stolen", "50000"]


def read(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])


def test_the_sample_is_what_the_script_makes(agency: Agency, events: pl.DataFrame) -> None:
    assert_frame_equal(read(SAMPLE), events.drop("day", "hour"))
    written = pl.read_csv(SAMPLE / "directory.csv", try_parse_dates=True)
    assert_frame_equal(written, agency.directory())
    truth = pl.read_csv(SAMPLE / "incidents.csv", try_parse_dates=True)
    assert_frame_equal(truth, agency.incidents(), check_dtypes=False)


def test_the_sample_stays_small() -> None:
    sizes = [path.stat().st_size for path in SAMPLE.iterdir()]
    assert sum(sizes) < 6_000_000
    assert max(sizes) < 2_000_000


def test_the_script_writes_months_directory_and_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_agency.main(["--out", str(tmp_path), *SMALL]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"2023-12.parquet", "2024-01.parquet", "directory.csv", "incidents.csv"}
    assert f"{len(read(tmp_path)):,} events" in capsys.readouterr().out


def test_the_truth_of_campaigns_lies_where_no_folder_of_logs_is_read(tmp_path: Path) -> None:
    assert (
        make_agency.main(["--out", str(tmp_path), *SMALL, "--campaigns", "1", "--kinds", "fold_2"])
        == 0
    )
    stolen = pl.read_parquet(tmp_path / ".truth" / "stolen.parquet")
    assert stolen.columns == ["campaign", "timestamp", "account", "rows"]
    assert len(stolen)
    logs = {path.name for path in tmp_path.glob("*.parquet")}
    assert logs == {"2023-12.parquet", "2024-01.parquet"}
    for asked in (tmp_path, tmp_path / "**" / "*"):
        assert {log.local_path.name for log in expand([str(asked)])} == logs


def test_large_months_are_split_and_old_files_replaced(tmp_path: Path) -> None:
    base = ["--out", str(tmp_path), "--events-only", *SMALL]
    make_agency.main(base)
    whole = read(tmp_path)
    make_agency.main([*base, "--largest", "1000"])
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{month}{half}.parquet" for month in ("2023-12", "2024-01") for half in "ab"
    }
    assert_frame_equal(read(tmp_path), whole)


def test_a_senseless_size_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="at least 20 accounts"):
        make_agency.main(["--out", str(tmp_path), "--accounts", "3"])
