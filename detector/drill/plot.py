"""A picture of a drill: one line per kind, each campaign a dot, their mean a bar."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Final

import polars as pl

from detector.core.files import write_atomically
from detector.drill.exposure import summarize_by_kind

FORMATS: Final = (".png", ".svg")
FOUND, MISSED, MEAN = "#1f4e79", "#b3261e", "#c9d8e6"


def draw(campaigns: pl.DataFrame, title: str, path: Path) -> None:
    """Writes the picture of DRILL in the format that the name of ``path`` ends in.

    The same campaigns give the same file. Missed campaigns stand at 1, in red. Raises OSError.
    """
    # PyOD brings matplotlib; to import it takes a second.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    kinds = summarize_by_kind(campaigns)
    names = kinds["kind"].to_list()
    place = {name: at for at, name in enumerate(names)}
    figure = Figure(figsize=(8, 1.4 + 0.32 * max(1, len(names))), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(names)), kinds["exposure"].fill_null(0).to_list(), color=MEAN, height=0.7)
    for missed, colour, words in ((False, FOUND, "found"), (True, MISSED, "never found")):
        some = campaigns.filter(pl.col("first_alert").is_null() == missed)
        if some.is_empty():
            continue
        at = [place[kind] for kind in some["kind"]]
        axes.scatter(some["exposure"].to_list(), at, s=16, color=colour, label=words, zorder=3)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("exposure: share of the records out before the first alert (bar: mean)")
    axes.set_title(title, loc="left", fontsize=10)
    if not campaigns.is_empty():
        figure.legend(loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    # An id from the content and no date, so that the same drill gives the same bytes.
    with rc_context({"svg.hashsalt": "detector"}):
        kind = path.suffix.lower()[1:]
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        picture = BytesIO()
        figure.savefig(picture, format=kind, dpi=150, metadata=metadata)
    write_atomically(path, picture.getvalue())
