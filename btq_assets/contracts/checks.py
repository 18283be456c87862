"""What a check is, without saying who runs it.

Belongs here: the plain types that `data_quality`, `evidence` and the rooms use to declare and
answer checks. Does not belong here: Dagster's own check objects (see `warehouse.outcomes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(frozen=True)
class CheckSpec:
    """Name, meaning and severity of one check.

    Parameters
    ----------
    name
        Unique within the asset; snake case.
    description
        What is demanded, in one sentence.
    blocking
        Whether a failure refuses the commit (``True``) or is only shown (``False``).
    """

    name: str
    description: str
    blocking: bool = True


@dataclass(frozen=True)
class CheckOutcome:
    """Answer of one check.

    Parameters
    ----------
    name
        Name of the `CheckSpec` this answers.
    passed
        Whether the demand is met.
    message
        What was found; on failure it says what is wrong, where, and what to do.
    metadata
        Numbers and short strings a person would want to see.
    """

    name: str
    passed: bool
    message: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckContext:
    """What a check may look at: what is about to be written, and what it was computed from.

    Parameters
    ----------
    frames
        Output frames by table name (``"features.technical"``).
    inputs
        Upstream frames by parameter name.
    config
        The `TradingConfig` of the run.
    answers
        Outcomes the step found out itself while it still held what it had fitted, by check name;
        read by `in_step_check`.
    stored
        Rows that a table which only grows holds already, asked for as ``stored(table, spans,
        order)``: ``spans`` has a row for each series, with ``since`` and ``until`` of the column
        ``order``. ``None`` where nobody can say.
    """

    frames: Mapping[str, pl.DataFrame]
    inputs: Mapping[str, pl.DataFrame]
    config: Any
    answers: Mapping[str, CheckOutcome] = field(default_factory=dict)
    stored: Callable[[str, pl.DataFrame, str], pl.DataFrame] | None = None

    @property
    def frame(self) -> pl.DataFrame:
        """The only output frame; raises ``ValueError`` when there are several."""
        if len(self.frames) != 1:
            raise ValueError(f"several output frames, name one of {sorted(self.frames)}")
        return next(iter(self.frames.values()))


@dataclass(frozen=True)
class CheckGroup:
    """Several checks that are answered in one go (a GX suite, a truncation gate).

    Parameters
    ----------
    specs
        The checks; each must be answered exactly once.
    run
        Called with a `CheckContext`; returns one `CheckOutcome` per spec.
    """

    specs: tuple[CheckSpec, ...]
    run: Callable[[CheckContext], Iterable[CheckOutcome]]

    def answer(self, context: CheckContext) -> list[CheckOutcome]:
        """Run the group and make sure that every spec, and nothing else, was answered."""
        outcomes = list(self.run(context))
        answered = sorted(outcome.name for outcome in outcomes)
        if answered != sorted(spec.name for spec in self.specs):
            raise ValueError(
                f"checks {[s.name for s in self.specs]} were declared, {answered} were answered"
            )
        return outcomes


def frame_check(
    name: str,
    description: str,
    run: Callable[[CheckContext], CheckOutcome],
    *,
    blocking: bool = True,
) -> CheckGroup:
    """A `CheckGroup` of a single check."""
    return CheckGroup((CheckSpec(name, description, blocking),), lambda context: (run(context),))


def in_step_check(name: str, description: str, *, blocking: bool = True) -> CheckGroup:
    """A check the step answers itself, through ``TableOutput.answers``.

    For gates on what a frame does not show (a fitted network, say). A step that gives no answer
    fails the check.
    """

    def run(context: CheckContext) -> CheckOutcome:
        if name not in context.answers:
            return CheckOutcome(name, False, f"the step did not answer {name!r}")
        return context.answers[name]

    return frame_check(name, description, run, blocking=blocking)


def specs_of(groups: Sequence[CheckGroup]) -> tuple[CheckSpec, ...]:
    """All specs of `groups`, in order."""
    return tuple(spec for group in groups for spec in group.specs)
