"""The sample's agency, which several tests look at, made once."""

from __future__ import annotations

import polars as pl
import pytest

from simulation.agency import Agency, Plan
from simulation.agency.realism import local


@pytest.fixture(scope="session")
def agency() -> Agency:
    return Agency.found(Plan())


@pytest.fixture(scope="session")
def events(agency: Agency) -> pl.DataFrame:
    """The sample's log as the simulator tells it, with the local day and hour."""
    return local(agency.events())
