"""The first sentence of an alert is true of what is counted."""

import pytest
from alerts_made_up import row

from detector.alerts.reasons import headline


def _headline(kind: str) -> str:
    return headline(row(entity_kind=kind, rows_group_largest=500.0))


@pytest.mark.parametrize(("kind", "how"), [("client_address", "through"), ("object", "from")])
def test_an_address_and_a_table_leave_their_busiest_account_out_and_say_so(kind, how):
    assert _headline(kind) == (
        f"1,000 records read {how} it on 5 Feb 2024, its busiest account left out; "
        "its usual day is 100"
    )


def test_an_account_and_a_group_read_all_that_is_said():
    assert _headline("account") == (
        "read 1,000 records on 5 Feb 2024; its usual day is 100, its group's largest is 500"
    )
    assert _headline("group") == "read 1,000 records on 5 Feb 2024; its usual day is 200"


def test_an_unknown_number_more_is_said():
    words = headline(row(unknown=2.0, rows_group_largest=500.0))
    assert words.startswith("read 1,000 records and an unknown number more on 5 Feb 2024; ")
