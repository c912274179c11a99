r"""Which heads of a slow query log the server wrote, and which stand inside a statement.

Whoever sends statements can send lines that look like heads. The server writes a head where a
statement has ended, and a statement ends outside of literals, comments and blocks. So an entry is
read as the server's lexer reads it, and what follows one that is still open belongs to it:

    SELECT * FROM person /*
    # User@Host: bob[bob] @ web1 [10.1.2.4]
    # Query_time: 0.1  Lock_time: 0.0  Rows_sent: 1  Rows_examined: 1
    SET timestamp=1707213600;
    */;

A statement that failed can be open for good, and what follows it does not close it. Then the heads
behind it are believed, but for an entry that has sent records: that one did not fail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

#: Heads behind an open entry that may be its own; more only where it has sent records.
_MAX_INNER_HEADS: Final = 200
_MAX_INNER_HEADS_SENT: Final = 20_000
#: What begins a block: a statement that holds others.
#: https://mariadb.com/kb/en/using-compound-statements-outside-of-stored-programs/
_BLOCK_START: Final = (
    r"(?i)^(?:set\s+statement\b[^;]*\bfor\s+)?(?:[`\w$]+\s*:\s*)?"
    r"(?:begin\s+not\b|if\b|case\b|loop\b|while\b|repeat\b|for\b"
    r"|(?:create|alter)\b.*\b(?:procedure|function|trigger|event|package)\b)"
)
#: First words that begin no block.
_PLAIN_VERBS: Final = ("select", "insert", "update", "delete", "replace", "with", "commit", "call")
_TOKEN: Final = re.compile(r"/\*(?:M?!\d*)?|\*/|--(?=[\s\x00-\x1f]|$)|\w+|[^\s\w]")
_CLOSING_PATTERNS: Final = {
    "'": re.compile(r"(?:[^'\\]|\\.|'')*+'", re.DOTALL),
    '"': re.compile(r'(?:[^"\\]|\\.|"")*+"', re.DOTALL),
    "`": re.compile(r"(?:[^`]|``)*+`"),
    "/*": re.compile(r"(?:[^*]|\*(?!/))*+\*/"),
}
_BLOCK_WORDS: Final = frozenset(["if", "case", "loop", "while", "repeat", "for"])
#: Tokens behind which a statement of a block begins.
_STATEMENT_BOUNDARIES: Final = frozenset(
    [";", ":", "then", "else", "do", "loop", "repeat", "begin", "atomic", "for"]
)
#: Those of them behind which a block can end.
_BLOCK_END_BOUNDARIES: Final = frozenset([";", "begin", "atomic"])
#: A server with another mode may read a literal that holds these otherwise.
_ESCAPED_QUOTE: Final = r"""\\['"]"""


class LexerState(NamedTuple):
    """Where a statement stands: what is ``open_mark`` ("" for nothing), whether a comment runs that
    the server executes, how many blocks are open, and the last word.
    """

    open_mark: str = ""
    in_executable_comment: bool = False
    depth: int = 0
    last_word: str = ";"

    @property
    def is_closed(self) -> bool:
        """Whether a statement may end here."""
        return not self.open_mark and not self.in_executable_comment and self.depth <= 0


@dataclass(slots=True)
class _OpenStatementScan:
    """Where what is open in an entry ends. Each entry is read once from each state; how many blocks
    are open is no part of that, as whoever sends statements can open any number.
    """

    texts: pl.Series
    end_rows: dict[tuple[int, LexerState], int | None] = field(default_factory=dict)
    states: dict[tuple[int, LexerState], LexerState] = field(default_factory=dict)

    def end_row(self, row: int, state: LexerState) -> int | None:
        """The row behind the first one at whose end all is closed, read on from ``row`` in
        ``state``; None where the texts end before, or where a block is open for too long.
        """
        path: list[tuple[int, LexerState]] = []
        found: int | None = None
        within, height = 0, len(self.texts)
        while row < height and within <= _MAX_INNER_HEADS:
            if state.depth:
                within += 1
            else:  # what follows depends on nothing before
                within = 0
                if (row, state) in self.end_rows:
                    found = self.end_rows[row, state]
                    break
                path.append((row, state))
            state = self._state_after(row, state)
            row += 1
            if state.is_closed:
                found = row
                break
        self.end_rows.update(dict.fromkeys(path, found))
        return found

    def _state_after(self, row: int, state: LexerState) -> LexerState:
        open_, runs, depth, last = state
        key = (row, LexerState(open_, runs, 0, last))
        known = self.states.get(key)
        if known is None:
            behind = advance_state(self.texts[row], key[1])
            known = self.states[key] = normalize_state(behind)._replace(depth=behind.depth)
        open_, runs, more, last = known
        return LexerState(open_, runs, max(depth + more, 0), last)


def normalize_state(state: LexerState) -> LexerState:
    """``state`` between two entries, with no more of it than matters to what follows."""
    last = state.last_word
    if not state.open_mark or last in _BLOCK_END_BOUNDARIES:
        last = ";"
    elif state.open_mark != "/*" or last not in _STATEMENT_BOUNDARIES:
        last = "x"
    else:
        last = "then"
    return state._replace(last_word=last, depth=max(state.depth, 0))


def advance_state(text: str, state: LexerState, *, blocks: bool = True) -> LexerState:
    """The state behind ``text``, from ``state`` before it; each character is looked at once.

    A block counts as begun wherever it could be, and as ended only where it must be: whoever
    sends statements can call a column ``end``.
    """
    open_, runs, depth, last = state
    at = 0
    while True:
        if open_:
            ended = _CLOSING_PATTERNS[open_].match(text, at)
            if ended is None:
                return LexerState(open_, runs, depth, last)
            at, last, open_ = ended.end(), last if open_ == "/*" else "x", ""
        found = _TOKEN.search(text, at)
        if found is None:
            return LexerState("", runs, depth, last)
        at, word = found.end(), found[0]
        if word in _CLOSING_PATTERNS:
            open_ = word
        elif word.startswith("/*"):
            runs = True
        elif word == "*/":
            runs = False
        elif word in {"#", "--"}:
            line = text.find("\n", at)
            at = len(text) if line < 0 else line
        else:
            word = word.lower() if len(word) < 20 else "x"
            if blocks:
                depth = _block_depth(depth, last, word)
            last = word


def _block_depth(depth: int, last: str, word: str) -> int:
    if word == "begin" or (word in _BLOCK_WORDS and last in _STATEMENT_BOUNDARIES):
        return depth + 1
    if word == "end" and last in _BLOCK_END_BOUNDARIES:
        return depth - 1
    return depth


def inner_heads(
    texts: pl.Series, frame: pl.DataFrame, shaped: pl.DataFrame, verbs: pl.Series
) -> tuple[dict[int, int], int]:
    """Where heads stand inside of an entry: that entry's row to the row behind the last of them.

    ``frame`` are the ``texts`` as ``slow_log.parsed``, ``shaped`` are the shapes of their
    statements, ``verbs`` their first words. With it, the row from which on that cannot be told
    before more entries are known.
    """
    sure = (frame["sent"] > 0) & ~frame["text"].str.contains(_ESCAPED_QUOTE)
    begun = _open_entries(frame, shaped, verbs)
    found: dict[int, int] = {}
    past, doubt = 0, len(texts)
    if not begun:
        return found, doubt
    walk = _OpenStatementScan(texts)
    for row, state in sorted(begun.items()):
        if row < past:
            continue
        end = walk.end_row(row + 1, state)
        most = _MAX_INNER_HEADS_SENT if sure[row] and state.open_mark else _MAX_INNER_HEADS
        if end is None and len(texts) - row <= most:
            doubt = min(doubt, row)
        elif end is not None and end - row - 1 <= most:
            found[row] = past = end
    return found, doubt


def _open_entries(
    frame: pl.DataFrame, shaped: pl.DataFrame, verbs: pl.Series
) -> dict[int, LexerState]:
    """The entries whose statement is still open where the next head stands, and in what state."""
    shape, text = shaped["shape"], frame["text"]
    unclosed = shaped["open"] | shaped["unended"]
    rare = (~verbs.is_in(_PLAIN_VERBS)).arg_true()
    block = set(
        rare.filter(shape.gather(rare).str.contains(_BLOCK_START).fill_null(value=False)).to_list()
    )
    found: dict[int, LexerState] = {}
    for row in sorted(block.union(unclosed.arg_true().to_list())):
        state = advance_state(text[row], LexerState(), blocks=row in block)
        if not state.is_closed:
            found[row] = normalize_state(state)
    for row in _suspect_entries(frame):
        found.setdefault(row, LexerState())
    return found


def _suspect_entries(frame: pl.DataFrame) -> list[int]:
    """Entries behind which a head stands that no server wrote.

    A statement is never empty, and a head has the time of its statement and its statement: one
    that lacks them is none where the statement before has not ended, or ends in a comment.
    """
    empty = (frame["text"] == "").fill_null(value=True) & ~frame["restarts"].fill_null(value=False)
    weak = frame["epoch"].is_null() | empty
    timed = frame["epoch"].is_not_null()
    rows = (timed & (empty | weak.shift(-1).fill_null(value=True))).arg_true()
    text = frame["text"].gather(rows)
    ended = text.str.ends_with(";") & ~text.str.contains(r"(?:#|--\s)[^\n]*$")
    return rows.filter(~ended.fill_null(value=False)).to_list()


def join_inner_heads(texts: pl.Series, found: dict[int, int]) -> pl.Series:
    """``texts`` in which an entry that holds heads has all of its statement."""
    whole = ["".join(texts[row:end]) for row, end in found.items()]
    return texts.scatter(list(found), whole) if found else texts


def trusted_heads(frame: pl.DataFrame, found: dict[int, int]) -> npt.NDArray[np.bool_]:
    """Which of the heads are entries of their own.

    Of an entry that sent nothing it cannot be told whether it failed, and then what follows is the
    server's. So heads of the same account count: forged ones harm nobody else, and nobody can hide
    what he reads behind a statement that fails.
    """
    kept = np.ones(frame.height, dtype=bool)
    for row, end in found.items():
        mine = frame["login"][row] if not frame["sent"][row] else None
        for inner in range(row + 1, end):
            kept[inner] = mine is not None and frame["login"][inner] == mine
    return kept
