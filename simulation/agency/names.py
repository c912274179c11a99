"""Invented names of accounts and places. Plain ascii, as account names are."""

from __future__ import annotations

from collections import Counter

SURNAMES = tuple(  # one string: a column of 150 quoted names hides the code
    """martin bernard thomas petit robert richard durand dubois moreau laurent simon michel
    lefebvre leroy roux david bertrand morel fournier girard bonnet dupont lambert fontaine
    rousseau vincent muller lefevre faure andre mercier blanc guerin boyer garnier chevalier
    francois legrand gauthier garcia perrin robin clement morin nicolas henry roussel
    mathieu gautier masson marchand duval denis dumont marie lemaire noel meyer dufour
    meunier brun blanchard giraud joly riviere lucas brunet gaillard barbier arnaud martinez
    gerard roche renard schmitt roy leroux colin vidal caron picard roger fabre aubert
    lemoine renaud dumas lacroix olivier philippe bourgeois pierre benoit rey leclerc payet
    rolland leclercq guillaume lecomte lopez jean dupuy guillot hubert berger carpentier
    sanchez dupuis moulin louis deschamps huet vasseur perez boucher fleury royer klein
    jacquet adam paris poirier marty aubry guyot carre charles renault charpentier menard
    maillard baron bertin bailly herve schneider fernandez collet leger bouvier julien
    prevost millet perrot daniel cousin germain breton besson langlois remy pelletier
    leveque""".split()  # noqa: SIM905
)
TOWNS = tuple(
    """lyon lille nantes rennes toulouse bordeaux grenoble dijon angers nimes reims brest limoges
    amiens metz tours caen orleans rouen nancy pau troyes niort valence chartres bourges
    colmar vannes laval lorient""".split()  # noqa: SIM905
)
JOBS = (
    "benefit_run",
    "search_index",
    "hourly_sync",
    "mail_out",
    "duplicates",
    "bi_refresh",
    "archive",
    "offer_match",
    "statistics",
    "health_check",
)


def numbered(names: list[str]) -> list[str]:
    """The names, the second and later of the same made different by a number."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}{seen[name]}")
    return unique
