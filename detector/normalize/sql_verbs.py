"""What a statement does where no parser reads it: told by the words that it begins with.

Whoever sends a statement chooses its words, so only a statement all of whose words are known to
return no records is taken for one. Whatever else it is counts as a reading.
"""

from __future__ import annotations

import re
from typing import Final

#: Statements by their first word.
_ACTION_VERBS: Final = {
    "read": "select with table values call fetch handler execute exec",
    "write": "insert update delete replace merge upsert truncate load import bulk put",
    "schema": "create alter drop grant revoke rename comment reindex refresh security undrop",
    "export": "copy unload backup",
}
_ACTION_BY_VERB: Final = {
    verb: action for action, verbs in _ACTION_VERBS.items() for verb in verbs.split()
}
#: First words of statements that return no records of a table.
_SILENT_WORDS: Final = (
    "set use begin start commit rollback savepoint release show lock unlock flush kill reset "
    "listen notify unlisten discard vacuum analyze checkpoint cluster deallocate close prepare xa "
    "do help change purge stop install uninstall optimize check checksum repair cache uncache end "
    "abort print waitfor go raiserror throw return dbcc explain describe desc pragma shutdown "
    "restart signal resignal get binlog declare if else while loop repeat for case leave iterate "
    "move reassign list remove system exists attach detach revert reconfigure deny"
)
_SILENT_VERBS: Final = frozenset(_SILENT_WORDS.split())
#: First words after which nothing of the statement runs that could return records.
_EXPLAIN_VERBS: Final = frozenset(["explain", "describe", "desc", "prepare", "show", "help"])
#: Words without which no part of a statement returns records, and those with which one that
#: changes records returns them.
_RECORD_WORDS: Final = frozenset(
    [
        *("select", "table", "values", "execute", "exec", "call", "fetch", "handler"),
        *("returning", "output", "with", "copy", "sp_executesql"),
    ]
)
_BLOCK_VERBS: Final = frozenset(
    ["set", "begin", "declare", "if", "else", "while", "loop", "repeat", "for", "case", "do"]
)
_RETURNING_CLAUSES: Final = frozenset(["returning", "output"])
_WRITE_VERBS: Final = frozenset(["insert", "update", "delete", "replace", "merge", "truncate"])
_PRECEDENCE: Final = ("other", "schema", "write", "read", "export")
_WORD: Final = re.compile(r"[^\W\d]\w*")
_FIRST: Final = re.compile(r"[\s(;{]*([^\W\d]\w*)")


def first_word(shape: str) -> str:
    """The word that a shape begins with, behind brackets, in lower case; "" where none does."""
    found = _FIRST.match(shape)
    return found[1].lower() if found else ""


def shape_action(shape: str, dialect: str) -> str:
    """The action of a shape (``sql_shape``), by the words of each statement in it.

    ``dialect`` is sqlglot's name of it. A shape without any word is ``other``: nothing was asked.
    """
    return heaviest([_statement_action(part, dialect) for part in shape.split(";") if part.strip()])


def heaviest(actions: list[str]) -> str:
    """The action of several statements that were sent as one."""
    return max(actions, key=_PRECEDENCE.index, default="other")


def _statement_action(part: str, dialect: str) -> str:
    verb = first_word(part)
    if not verb:
        return "read"
    if verb in _EXPLAIN_VERBS and dialect != "tsql":
        return "other"
    if verb in _SILENT_VERBS:
        return _silent_action(verb, part, dialect)
    found = _ACTION_BY_VERB.get(verb, "read")
    if found == "write" and not _RETURNING_CLAUSES.isdisjoint(_words(part)):
        return "read"
    return found


def _silent_action(verb: str, part: str, dialect: str) -> str:
    """Blocks hold other statements, and SQL Server needs nothing between two of them.

    PostgreSQL's DO can send whatever it reads as notices.
    """
    if verb == "do" and dialect == "postgres":
        return "read"
    words = _words(part)
    if verb not in _BLOCK_VERBS:
        words.discard("table")  # LOCK TABLE, CHECK TABLE
    if not _RECORD_WORDS.isdisjoint(words):
        return "read"
    return "write" if verb in _BLOCK_VERBS and not _WRITE_VERBS.isdisjoint(words) else "other"


def _words(part: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(part)}
