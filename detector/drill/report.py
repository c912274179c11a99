"""What a drill found, as figures for machines and as sentences for people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from detector.campaigns.kinds import KINDS
from detector.core.formatting import percentage, quantity
from detector.drill import exposure
from detector.drill.run import DrillResult
from detector.drill.schedule import campaign_quota
from detector.drill.window import DrillWindow
from detector.model.model import Model


def summary(
    found: DrillResult, stage: DrillWindow, model: Model, instances: int, seed: int
) -> dict[str, Any]:
    """Plain JSON; its keys are described in docs/drill.md."""
    chance = exposure.summarize_by_kind(found.chance_campaigns).select("kind", by_chance="exposure")
    kinds = exposure.summarize_by_kind(found.campaigns)
    kinds = kinds.join(chance, on="kind", how="left", maintain_order="left")
    staged = dict(kinds.select("kind", "staged").iter_rows())
    campaigns = found.campaigns.drop("benign_alerts_a_day")
    return {
        "model": model.id,
        "seed": seed,
        "first_day": stage.first.isoformat(),
        "last_day": stage.last.isoformat(),
        "days": len(stage.days),
        "accounts": stage.hours["account"].n_unique(),
        "within_training": model.last_day >= stage.first,
        "mean_exposure": kinds["exposure"].mean(),
        "mean_exposure_by_chance": kinds["by_chance"].mean(),
        "benign_alerts_a_day": found.benign_alerts_per_day,
        "honest_alerts_a_day": found.honest_alerts_per_day,
        "budget": model.alerts_per_day,
        "kinds": kinds.to_dicts(),
        "short": {
            kind.name: campaign_quota(kind.name, instances) - staged.get(kind.name, 0)
            for kind in KINDS
            if staged.get(kind.name, 0) < campaign_quota(kind.name, instances)
        },
        "campaigns": [
            {
                **row,
                **{name: row[name] and _iso(row[name]) for name in ("first_act", "first_alert")},
            }
            for row in campaigns.iter_rows(named=True)
        ],
    }


def _iso(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def sentences(facts: dict[str, Any], stage: DrillWindow, model: Model) -> list[str]:
    """What the figures of ``summary`` mean."""
    if facts["mean_exposure"] is None:
        return ["no campaign could be staged: no account of this ledger fits any kind"]
    staged = sum(row["staged"] for row in facts["kinds"])
    found = sum(row["found"] for row in facts["kinds"])
    mean, chance = facts["mean_exposure"], facts["mean_exposure_by_chance"]
    first = (
        f"mean exposure over {quantity(len(facts['kinds']), 'kind')}: {mean:.3f}; on average "
        f"{percentage(mean)} of what a campaign takes is out before the first alert "
        f"({found} of {quantity(staged, 'campaign')} found)"
    )
    second = (
        f"by chance it would be {chance:.3f}: what the alerts of the stage without campaigns "
        "would have made of them, for an honest alert on one of many thieves finds a crowd too"
    )
    third = (
        f"the stage without campaigns has {facts['honest_alerts_a_day']:.1f} alerts a day, with "
        f"them {facts['benign_alerts_a_day']:.1f} on entities that no campaign touched (budget "
        f"{facts['budget']:g}); in an honest ledger these are false"
    )
    return [first, second, third, *_caveats(facts, stage, model)]


def _caveats(facts: dict[str, Any], stage: DrillWindow, model: Model) -> list[str]:
    """What the figures leave out."""
    said = []
    missed = [row["kind"] for row in facts["kinds"] if not row["found"]]
    if missed:
        said.append(f"never found: {', '.join(missed)}")
    none = [name for name in facts["short"] if name not in {r["kind"] for r in facts["kinds"]}]
    fewer = [name for name in facts["short"] if name not in none]
    if none:
        said.append(f"not staged, no account of this ledger fits: {', '.join(none)}")
    if fewer:
        said.append(f"fewer than asked for, too few accounts fit: {', '.join(fewer)}")
    if facts["within_training"]:
        before = stage.first - timedelta(days=1)
        said.append(
            f"the model was trained to {model.last_day}, on days of the stage too: what is usual "
            f"was learned anew from the days to {before}, but its threshold has seen the stage, "
            f"which flatters it; train with --until {before} to know"
        )
    said.append(
        "the model learned from staged campaigns of the same kinds: a theft of another kind may "
        "stay unseen for longer"
    )
    return said
