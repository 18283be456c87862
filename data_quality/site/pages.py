"""Pages over the answers: an index of tables, and a page a table.

Belongs here: what is shown where. Does not belong here: where answers come from (`answers`), how
it looks (`page.html.j2`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from data_quality.site.answers import Answer, Surroundings

#: States, the worst first.
_ORDER = ("failed", "warned", "passed")
#: Told in words by the message already.
_UNTOLD = ("sample", "reused", "expectation")

#: Answers of a check shown as its history.
_HISTORY = 30

_HEALTH = (
    "status", "n_rows", "last_at", "expected_last_at", "n_missing_sessions", "emptiest_series",
    "n_late", "n_corrected", "n_quarantined", "n_repairs_proposed", "n_repairs_applied",
)  # fmt: skip
_REFUSED = ("received_at", "reason", "row_json")
_REPAIRS = (
    "kind", "symbol", "column_name", "from_ts", "to_ts", "before", "after", "confidence",
    "applied", "evidence",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One check: its last answer, what was shown with it, and the answers before."""

    name: str
    last: Answer
    sample: list[list[str]]
    facts: list[tuple[str, str]]
    history: list[Answer]

    @property
    def state(self) -> str:
        """``passed``, ``warned`` or ``failed``."""
        return state(self.last)

    @property
    def since(self) -> datetime:
        """Time of the first of the equal answers the history ends with."""
        first = self.last
        for answer in reversed(self.history):
            if answer.passed != self.last.passed:
                break
            first = answer
        return first.at

    @property
    def unexpected(self) -> str:
        """Rows out of order, where the check counts them."""
        told = dict(self.facts).get("rows_unexpected", "")
        return "" if told == "0" else told


@dataclass(frozen=True)
class Table:
    """All checks of a table, the worst first."""

    name: str
    checks: list[Check]

    @property
    def file(self) -> str:
        """Name of its page."""
        return f"{self.name}.html"

    def count(self, wanted: str) -> int:
        """How many checks are in a state."""
        return sum(check.state == wanted for check in self.checks)

    @property
    def states(self) -> str:
        """Every state a check of it is in."""
        return " ".join(dict.fromkeys(check.state for check in self.checks))


def state(answer: Answer) -> str:
    """``passed``, ``warned`` (failed, and the commit went on) or ``failed``."""
    if answer.passed:
        return "passed"
    return "failed" if answer.blocking else "warned"


def tables(answers: Iterable[Answer]) -> list[Table]:
    """Group answers, oldest first, by table and check."""
    grouped: dict[str, dict[str, list[Answer]]] = {}
    for answer in answers:
        grouped.setdefault(answer.table, {}).setdefault(answer.check, []).append(answer)
    return [
        Table(
            name,
            sorted(
                (_check(check, history) for check, history in checks.items()),
                key=lambda check: (_ORDER.index(check.state), check.name),
            ),
        )
        for name, checks in sorted(grouped.items())
    ]


def _check(name: str, history: Sequence[Answer]) -> Check:
    last = history[-1]
    # A re-used answer carries no rows: they are with the answer it repeats.
    told = next((a for a in reversed(history) if not a.metadata.get("reused")), last)
    shown = told if told.passed == last.passed else last
    facts = [(key, _text(value)) for key, value in shown.metadata.items() if key not in _UNTOLD]
    return Check(
        name, last, _cells(str(shown.metadata.get("sample", ""))), facts, list(history[-_HISTORY:])
    )


def _cells(markdown: str) -> list[list[str]]:
    """Cells of a Markdown table, heading first."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [
        [
            cell.strip().replace("\\|", "|")
            for cell in re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
        ]
        for number, line in enumerate(lines)
        if number != 1
    ]


def write_site(answers: Iterable[Answer], around: Surroundings, folder: Path) -> list[Path]:
    """Write the pages; returns them, the index first.

    Parameters
    ----------
    answers
        Oldest first.
    around
        What the database says.
    folder
        Made where it is absent; pages of tables that are gone are removed.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["text"] = _text
    template = environment.get_template("page.html.j2")
    found = tables(answers)
    judged = {table.name for table in found}
    silent = sorted((set(around.refused) | set(around.repairs)) - judged)
    found = sorted([*found, *(Table(name, []) for name in silent)], key=_worst_first)
    wrong = [(table, check) for table in found for check in table.checks if check.state != "passed"]
    wrong.sort(key=lambda pair: _ORDER.index(pair[1].state))
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.html"):
        stale.unlink()
    index = folder / "index.html"
    pages = {table.name for table in found}
    index.write_text(
        template.render(
            table=None,
            tables=found,
            wrong=wrong,
            health=around.health,
            totals={state: sum(table.count(state) for table in found) for state in _ORDER},
            n_refused=around.n_refused,
            n_repairs=around.n_repairs,
            pages=pages,
        )
    )
    written = [index]
    for table in found:
        page = folder / table.file
        page.write_text(
            template.render(
                table=table,
                pages=pages,
                totals={state: table.count(state) for state in _ORDER},
                n_refused=around.n_refused.get(table.name, 0),
                n_repairs=around.n_repairs.get(table.name, 0),
                health=_row(around.health.get(table.name, {}), _HEALTH),
                refused=[_row(row, _REFUSED) for row in around.refused.get(table.name, [])],
                repairs=[_row(row, _REPAIRS) for row in around.repairs.get(table.name, [])],
            )
        )
        written.append(page)
    return written


def _worst_first(table: Table) -> tuple[int, int, str]:
    return -table.count("failed"), -table.count("warned"), table.name


def _row(row: dict[str, Any], names: Sequence[str]) -> dict[str, str]:
    return {name: _text(row[name]) for name in names if name in row}


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    if hasattr(value, "strftime"):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)
