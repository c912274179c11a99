"""The model card: what a model knows, how it was made, and what it cannot see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detector.core.formatting import percentage, quantity
from detector.features.feature import Family
from detector.model.model import Model


def render_card(model: Model, versions: Mapping[str, str], families: Sequence[Family]) -> str:
    """Markdown. All figures are the model's own."""
    features = "\n".join(
        f"| {family.name} | {feature.name} | {feature.unit} | {feature.meaning} |"
        for family in families
        for feature in family.features
    )
    made_with = ", ".join(f"{name} {number}" for name, number in versions.items())
    known = percentage(model.known_row_share)
    return f"""# Model {model.id}

Learned from {model.first_day} to {model.last_day}: {quantity(model.accounts, "account")}.
Made with {made_with}; seed {model.settings.seed}; days and hours of {model.settings.timezone}.

- Alert budget: {model.alerts_per_day:g} a day. The threshold, surprise {model.threshold:.3f},
  was set on {quantity(model.held_out_days, "held-out day")} of training (from
  {model.held_out_from}); no later data had a part in it.
- Surprise is -log10 of the calibrated p-value of an entity's day.
- Row counts were known for {known} of the reading statements in training.
- A day of fewer than {model.settings.minimum_records:,} records does not alert, unless the log
  hides how many they were.

| family | feature | unit | meaning |
|---|---|---|---|
{features}

Kinds of entity it judges: {", ".join(model.kind_models)}.
{_contamination_note(model)}
## Limits

It knows what the log says and no more. Who takes records within their own usual amounts, hours,
addresses and tables is not seen. A theft that was already under way in the whole training span is
part of what it calls usual. Its trees learned from campaigns staged among the same accounts; what
no campaign was like, the sum of the features must find.

Nothing in this folder can run code: Parquet, JSON, and forests that are read with a list of two
trusted types. Each file's checksum is in model.json.
"""


def _contamination_note(model: Model) -> str:
    if not model.contaminated_accounts:
        return ""
    some = ", ".join(repr(name) for name in model.contaminated_accounts[:10])
    return (
        "\nBaselines that look contaminated: "
        f"{quantity(len(model.contaminated_accounts), 'account')} rose "
        f"far above their own lowest month within training, such as {some}. Look at them before "
        "you rely on this model for them.\n"
    )
