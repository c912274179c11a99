"""Public holidays of a country, or of a region of it, by the library ``holidays``.

The library is imported where a setting asks for it, and not before: it is no part of a start.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache

from detector.core.errors import SettingsError

#: Names shown of what a country has.
MAX_SHOWN = 20
#: A code is short; longer text is no code, and is not looked up.
MAX_CODE_LENGTH = 40


@cache
def holidays_in_year(code: str, year: int) -> frozenset[date]:
    """The public holidays of ``code`` (``FR``, ``DE-BY``) in one year.

    Raises SettingsError where there is no such country or region.
    """
    import holidays

    country, _, region = code.partition("-")
    if len(code) > MAX_CODE_LENGTH:
        raise SettingsError(
            f"holidays = {code[:MAX_CODE_LENGTH]!r}... is no country", hint=_code_hint()
        )
    known = holidays.list_supported_countries(include_aliases=True)
    if country not in known:
        near = country.upper() if country.upper() in known else ""
        hint = f"did you mean {near!r}?" if near else _code_hint()
        raise SettingsError(f"holidays = {code!r}: there is no country {country!r}", hint=hint)
    try:
        found = holidays.country_holidays(country, subdiv=region or None, years=year)
    except NotImplementedError:
        regions = known[country]
        more = ", ..." if len(regions) > MAX_SHOWN else ""
        hint = (
            f"its regions are {', '.join(regions[:MAX_SHOWN])}{more}" if regions else "it has none"
        )
        what = f"holidays = {code!r}: {country} has no region {region!r}"
        raise SettingsError(what, hint=hint) from None
    return frozenset(day for day in found if day.year == year)


def holidays_among(code: str | None, days: Iterable[date]) -> frozenset[date]:
    """Those of ``days`` that are public holidays; none where ``code`` is null."""
    if code is None:
        return frozenset()
    return frozenset(day for day in days if day in holidays_in_year(code, day.year))


def _code_hint() -> str:
    return 'such as "FR", or with a region, "DE-BY"'
