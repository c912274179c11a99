"""Names of accounts, addresses, tables, programs and groups mean nothing."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from small_office import CUT, NAMES, SCORED, Office, agent, directory, moved, score_under_names

from detector.core.schema import DIRECTORY, TIMESTAMP, TOUCHED_VALUES
from detector.features.novelty import add_networks
from detector.features.peer_groups import assign_groups, groups_by_account, groups_by_usage

KEYS = ["entity_kind", "entity", "hour"]
SOME = SCORED[:5]


def _other(name: pl.Expr) -> pl.Expr:
    """Another name for each name; what came first in the alphabet comes last."""
    return pl.concat_str(pl.lit("x"), name.str.reverse(), pl.lit("§"))


def _own(name: pl.Expr) -> pl.Expr:
    return name.str.strip_prefix("x").str.strip_suffix("§").str.reverse()


def _moved(address: pl.Expr) -> pl.Expr:
    """Another address; who shared a network still does. Its own inverse."""
    parts = address.str.split(".").list.eval(255 - pl.element().cast(pl.Int64, strict=False))
    return parts.cast(pl.List(pl.String)).list.join(".")


def _renamed(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(
        _other(pl.col("account")).alias("account"),
        _other(pl.col("object")).alias("object"),
        _other(pl.col("application")).alias("application"),
        _moved(pl.col("client_address")).alias("client_address"),
    ).sample(fraction=1, shuffle=True, seed=3)


def _back(scored: pl.DataFrame, group: dict[str, str]) -> pl.DataFrame:
    """Scores of the renamed office with the names of the own one."""
    kind = pl.col("entity_kind")
    entity = (
        pl.when(kind == "client_address")
        .then(_moved(pl.col("entity")))
        .when(kind == "group")
        .then(pl.col("entity").replace(group))
        .otherwise(_own(pl.col("entity")))
    )
    new = [
        pl.col(f"new_{what}_names").list.eval(back(pl.element())).list.sort()
        for what, back in (("addresses", _moved), ("objects", _own), ("applications", _own))
    ]
    return scored.with_columns(entity, pl.col("group").replace(group), *new).sort(KEYS)


@pytest.mark.slow
@pytest.mark.parametrize("people", [None, directory()], ids=["no directory", "a directory"])
def test_other_names_give_the_same_scores_and_reasons(people, robbed_log, model):
    """One agent is at a new place of the own network: private addresses are names, too."""
    log = moved(robbed_log, 24, SOME[2], "10.77.0.5")
    robbed, other = Office.of(log), Office.of(_renamed(log))
    their_people = people
    if people is not None:
        their_people = people.with_columns(
            _other(pl.col("account")).alias("account"), _other(pl.col("group")).alias("group")
        )
    scored = []
    for office, directed, name in (
        (robbed, people, pl.col("entity")), (other, their_people, _other(pl.col("entity"))),
    ):  # fmt: skip
        scored.append(score_under_names(office, model, directed, name, SOME))
    own, theirs = scored
    accounts = own.filter(pl.col("entity_kind") == "account").select("entity", "group").unique()
    renamed = theirs.filter(pl.col("entity_kind") == "account").select(
        _own(pl.col("entity")), theirs="group"
    )
    pairs = accounts.join(renamed.unique(), on="entity").select("theirs", "group").unique()
    group = dict(pairs.iter_rows())
    # The same people are together, under another name.
    assert len(group) == len(pairs) == pairs["group"].n_unique() > 4
    columns = [
        *KEYS, *NAMES, *(f"{name}_surprise" for name in NAMES), "surprise", "alarming", "group",
        "rows", "rows_usual", "new_addresses_names", "new_objects_names",
    ]  # fmt: skip
    again = _back(theirs, group)
    own = own.sort(KEYS)
    wrong = [name for name in columns if not own[name].equals(again[name], null_equal=True)]
    assert not wrong
    assert own["alarming"].any()
    assert own.filter(pl.col("entity") == agent(24))["foreign_networks"].max() == 1


def _touched(rows: list[tuple[str, str, str, int]]) -> pl.DataFrame:
    full = [
        {"day": CUT, "account": who, "dimension": dimension, "value": value,
         "statements": made, "rows": 0, "first_hour": None}
        for who, dimension, value, made in rows
    ]  # fmt: skip
    return pl.DataFrame(full, schema={**TOUCHED_VALUES, "first_hour": TIMESTAMP})


#: What each of some accounts uses most: a table and a program.
habits = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=40)


def _use(who: list[tuple[int, int]], names: dict[str, str]) -> pl.DataFrame:
    rows = []
    for number, (most, program) in enumerate(who):
        account = names[f"account{number}"]
        rows.append((account, "application", names[f"program{program}"], 10))
        rows += [
            (account, "object", names[f"table{at}"], 100 if at == most else 5 + at)
            for at in range(4)
        ]
    return _touched(rows)


def _together(found: pl.DataFrame, names: dict[str, str]) -> set[frozenset[str]]:
    own = {theirs: name for name, theirs in names.items()}
    return {
        frozenset(own[name] for name in part["account"]) for part in found.partition_by("group")
    }


@given(habits, st.randoms(use_true_random=False))
@hypothesis_settings(max_examples=60)
def test_who_is_grouped_by_use_does_not_depend_on_names(who, random):
    plain = [f"account{n}" for n in range(len(who))]
    plain += [f"table{n}" for n in range(4)] + ["program0", "program1"]
    others = [f"n{number}" for number in range(len(plain))]
    random.shuffle(others)
    same, renamed = dict(zip(plain, plain, strict=True)), dict(zip(plain, others, strict=True))
    first = groups_by_usage(_use(who, same))
    second = groups_by_usage(_use(who, renamed).sample(fraction=1, shuffle=True, seed=1))
    assert _together(first, same) == _together(second, renamed)
    assert first["account"].to_list() == sorted(plain[: len(who)])


def test_groups_by_use_are_named_by_what_they_use():
    who = [(0, 0)] * 6 + [(1, 0)] * 6 + [(2, 1)]
    names = {f"account{n}": f"a{n:02}" for n in range(13)}
    names |= {"table0": "person", "table1": "offer", "table2": "note", "table3": "log"}
    names |= {"program0": "front", "program1": "psql"}
    found = dict(groups_by_usage(_use(who, names)).iter_rows())
    assert found["a00"] == "mostly person by front"
    assert found["a06"] == "mostly offer by front"
    assert found["a12"] not in (found["a00"], found["a06"])


def test_the_directory_wins_over_use_and_names_services_apart():
    accounts = pl.Series("account", ["ann", "job", "nobody"])
    listed = directory().head(1).with_columns(account=pl.lit("ann"), group=pl.lit("desk"))
    listed = pl.concat([listed, listed.with_columns(account=pl.lit("job"), kind=pl.lit("service"))])
    learned = pl.DataFrame({"account": ["ann", "job", "nobody"], "group": ["x", "x", "x"]})
    found = groups_by_account(assign_groups(accounts, listed, learned))
    assert found["ann"] == "desk"
    assert found["job"] not in ("desk", "x")
    assert found["nobody"] not in ("desk", "x", found["job"])


def test_services_are_colleagues_of_the_services_of_their_own_group_alone():
    rows = [("ann", "a", "human"), ("x", "a", "service"), ("y", "a", "service"),
            ("z", "b", "service")]  # fmt: skip
    listed = pl.DataFrame(
        [dict.fromkeys(DIRECTORY) | {"account": n, "group": g, "kind": k} for n, g, k in rows],
        schema=dict(DIRECTORY),
    )
    found = groups_by_account(assign_groups(listed["account"], listed))
    assert found["x"] == found["y"]
    assert len({found["ann"], found["x"], found["z"]}) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.1.2.3", "10.1.2.200", True),
        ("10.1.2.3", "10.1.3.3", False),
        ("::ffff:10.1.2.3", "10.1.2.4", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("pc1.site.example", "pc2.site.example", True),
        ("pc1.site.example", "pc1.other.example", False),
        ("pc1", "pc2", False),
    ],
)
def test_a_network_is_a_24_a_64_or_a_domain(one, other, same):
    made = [("ann", "client_address", value, 1) for value in (one, other)]
    networks = add_networks(_touched(made)).filter(pl.col("dimension") == "network")
    assert (networks["value"].n_unique() == 1) == same
