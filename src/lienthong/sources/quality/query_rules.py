"""Rules that are SQL: read, checked, and written again before they are run.

    safe_query("SELECT COUNT(*) FROM ${object} WHERE ${property} < 0", …)

A contract may come from elsewhere, and a reader's account may do more than read. What is run is
the text that ``sqlglot`` writes from the tree that was checked, never the text of the file: one
SELECT, without INTO and locks, over plain tables outside of the system's schemas, with functions
of a list. Comments are dropped (MySQL runs some of them).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

LONGEST_QUERY = 10_000  # characters
DEEPEST_QUERY = 200  # brackets; the parser calls itself for each
_PLACE = re.compile(r"\$?\{(\w+)\}")
_SYSTEM = re.compile(
    r"(pg_.*|sqlite_.*|information_schema|mysql|performance_schema|sys|duckdb_.*|pragma_.*)\Z",
    re.IGNORECASE,
)
_FUNCTIONS = re.compile(
    "count|count_?if|sum|sum_?if|avg|min|max|abs|round|ceil|floor|sign|mod|sqrt|power|ln|median"
    "|coalesce|nullif|if|ifnull|case|cast|try_?cast|and|or|xor|not|in|exists|between|any|all|filter"
    "|lower|upper|trim|length|char_length|substring|substr|left|right|concat|concat_ws|replace"
    "|str_?position|regexp_?like|stddev|stddev_?(pop|samp)|variance|variance_?pop|var_pop|greatest"
    "|least|extract|year|month|day|date|current_?(date|timestamp)|(date|timestamp)_?trunc"
    "|date_?(diff|add|sub)|ts_?or_?ds_?to_?(date|timestamp)|time_?to_?str|str_?to_?(time|date)"
    "|row_?number|rank|dense_?rank|lag|lead|first_?value|last_?value|strftime|julianday",
    re.IGNORECASE,
)
_REFUSED = (
    exp.Into,
    exp.Lock,
    exp.Command,
    exp.DDL,
    exp.DML,
    exp.Parameter,
    exp.SessionParameter,
    exp.Placeholder,
    exp.TableFromRows,
    exp.Lateral,
    exp.Pragma,
)


class QueryRefused(ValueError):
    """A rule's SQL may not be run; the text says why, in English."""


def safe_query(text: str, dialect: str, places: Mapping[str, str]) -> str:
    """Return the SQL to run for a rule's ``query``. Raises QueryRefused.

    ``places`` gives the quoted names that ``${object}``, ``${table}``, ``${property}`` and
    ``${column}`` stand for; ``dialect`` is sqlglot's name of the source's SQL.
    """
    if len(text) > LONGEST_QUERY or text.count("(") > DEEPEST_QUERY:
        raise QueryRefused("query too long")
    filled = _PLACE.sub(lambda found: _place(found[1], places), text)
    try:
        statements = [each for each in sqlglot.parse(filled, read=dialect) if each is not None]
    except (SqlglotError, RecursionError, ValueError):
        raise QueryRefused("query cannot be read") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise QueryRefused("one SELECT wanted")
    query = statements[0]
    _check(query)
    try:
        return query.sql(dialect=dialect, comments=False)
    except (SqlglotError, RecursionError):
        raise QueryRefused("query cannot be read") from None


def _place(name: str, places: Mapping[str, str]) -> str:
    if name not in places:
        raise QueryRefused(f"nothing stands for ${{{name[:40]}}}")
    return places[name]


def _check(query: exp.Query) -> None:
    for node in query.walk():
        if isinstance(node, _REFUSED):
            raise QueryRefused(f"{node.key} in a query")
        if isinstance(node, exp.Table):
            _check_table(node)
        elif isinstance(node, exp.Func):
            _check_function(node)


def _check_table(table: exp.Table) -> None:
    if not isinstance(table.this, exp.Identifier):
        raise QueryRefused("function in place of a table")
    if any(_SYSTEM.match(part.name) for part in table.parts) or "." in table.name.strip("."):
        raise QueryRefused("table of the system")
    if re.search(r"[/\\:*]", table.name):  # DuckDB reads a file of that name
        raise QueryRefused("file in place of a table")


def _check_function(function: exp.Func) -> None:
    name = function.name if isinstance(function, exp.Anonymous) else function.key
    if not any(_FUNCTIONS.fullmatch(each) for each in (name, *_names(function))):
        raise QueryRefused(f"function {name[:40]}")


def _names(function: exp.Func) -> list[str]:
    return [] if isinstance(function, exp.Anonymous) else list(type(function).sql_names())
