"""The bridge: a declared suite becomes a `CheckGroup`, answered by one Great Expectations run.

Belongs here: translating declarations into Great Expectations and its answers into
`CheckOutcome`s. Does not belong here: any expectation, any statistic. Great Expectations costs
seconds to import, so it is imported when a suite runs and not before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, CheckSpec
from data_quality.declarations import Expectation, Suite, View

if TYPE_CHECKING:
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.data_context import AbstractDataContext
    from great_expectations.datasource.fluent.interfaces import Batch

#: Failing rows shown with a check.
SAMPLE_ROWS = 8


class SuiteError(RuntimeError):
    """An expectation could not be judged at all; says which and why."""


def check_group(suite: Suite) -> CheckGroup:
    """Checks of a suite: one per expectation, all answered by one run over the table's frame."""
    return group_of(suite, lambda _: suite)


def group_of(suite: Suite, suite_for: Callable[[CheckContext], Suite]) -> CheckGroup:
    """Checks of a suite that is known in full only when the step runs.

    Parameters
    ----------
    suite
        Names, descriptions and severities.
    suite_for
        The same expectations, on views that may depend on the configuration and on what else the
        step wrote.
    """
    specs = tuple(
        CheckSpec(expectation.name, expectation.description, expectation.blocking)
        for expectation in suite.expectations
    )

    def run(context: CheckContext) -> list[CheckOutcome]:
        chosen, frame = suite_for(context), _frame(suite, context)
        return run_suite(chosen, frame, _stored(chosen, frame, context))

    return CheckGroup(specs, run)


def group_beside(
    declare: Callable[..., Suite], contract: TableContract, other: TableContract | None
) -> CheckGroup:
    """Checks of a table held against another one that the same asset writes.

    Parameters
    ----------
    declare
        ``declare(contract)``, and ``declare(contract, frame of the other table)``.
    contract, other
        The table, and the other one; without it the table is judged alone.
    """

    def suite_for(context: CheckContext) -> Suite:
        return declare(contract, context.frames[other.table]) if other else declare(contract)

    return group_of(declare(contract), suite_for)


def run_suite(
    suite: Suite, frame: pl.DataFrame, stored: pl.DataFrame | None = None
) -> list[CheckOutcome]:
    """Judge `frame` by every expectation of `suite`.

    Parameters
    ----------
    suite
        What is expected, on which views.
    frame
        Rows of the table, cast to its contract.
    stored
        Rows the table holds already, for what the new ones say only beside them.

    Raises
    ------
    SuiteError
        Great Expectations raised instead of judging.
    """
    frame = frame.with_columns(fresh=True)
    if stored is not None and stored.height:
        frame = pl.concat([stored.with_columns(fresh=False), frame])
    prepared = suite.prepare(frame) if suite.prepare else frame
    # One batch definition for all views: each one that is added is written down by Great Expectations,
    # in its memory, with everything added before.
    whole = (
        _context()
        .data_sources.add_pandas(suite.table)
        .add_dataframe_asset("views")
        .add_batch_definition_whole_dataframe("all")
    )
    outcomes: dict[str, CheckOutcome] = {}
    for view in suite.views:
        chosen = [
            expectation for expectation in suite.expectations if expectation.view == view.name
        ]
        if chosen:
            outcomes |= {
                outcome.name: outcome
                for outcome in _judge(whole, suite, view, chosen, view.compute(prepared))
            }
    return [outcomes[expectation.name] for expectation in suite.expectations]


def _frame(suite: Suite, context: CheckContext) -> pl.DataFrame:
    if suite.table not in context.frames:
        raise SuiteError(
            f"the suite of {suite.table} was attached to {sorted(context.frames)}; "
            "attach it to the asset that writes the table"
        )
    return context.frames[suite.table]


def _stored(suite: Suite, frame: pl.DataFrame, context: CheckContext) -> pl.DataFrame | None:
    if suite.history is None or context.stored is None or frame.is_empty():
        return None
    return context.stored(suite.table, suite.history.spans(frame), suite.history.order)


def _context() -> AbstractDataContext:
    """A fresh context in memory: no files, no progress bars, nothing sent anywhere."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    return context


def _judge(
    whole: BatchDefinition, suite: Suite, view: View, chosen: list[Expectation], rows: pl.DataFrame
) -> Iterable[CheckOutcome]:
    if "fresh" in rows.columns:
        rows = rows.filter("fresh")
    needed = dict.fromkeys(
        [*view.identity, *(expectation.column for expectation in chosen if expectation.column)]
    )
    absent = [name for name in needed if name not in rows.columns]
    if absent:
        raise SuiteError(f"{suite.table}: view {view.name!r} has no column {absent}")
    batch = whole.get_batch({"dataframe": rows.select(*needed).to_pandas()})
    answers = _answers(batch, view, chosen, {"result_format": "BASIC"})
    # Which rows failed costs Great Expectations as much again as whether any did: it is asked where
    # some did, and the bounds do not say which are worst.
    unclear = [
        item for item in chosen if _n_unexpected(answers[item.name]) and not _has_bounds(item)
    ]
    if unclear:
        answers |= _answers(
            batch,
            view,
            unclear,
            {
                "result_format": "SUMMARY",
                "unexpected_index_column_names": list(view.identity),
                "partial_unexpected_count": SAMPLE_ROWS,
            },
        )
    for expectation in chosen:
        yield _outcome(suite, view, expectation, answers[expectation.name], rows)


def _answers(
    batch: Batch, view: View, chosen: list[Expectation], result_format: dict[str, Any]
) -> dict[str, Any]:
    """What Great Expectations answers to each expectation, by name."""
    import great_expectations as gx

    result = batch.validate(
        gx.ExpectationSuite(view.name, expectations=[_translated(item) for item in chosen]),
        result_format=result_format,
    )
    # Answers come in an order of their own.
    return {
        answer.expectation_config.meta["name"]: answer  # type: ignore[union-attr]
        for answer in result.results
    }


def _n_unexpected(answer: Any) -> int:
    return (answer.result or {}).get("unexpected_count") or 0


def _has_bounds(expectation: Expectation) -> bool:
    return "between" in expectation.type and expectation.column is not None


def _translated(expectation: Expectation) -> Any:
    import great_expectations.expectations as gxe

    camel = "".join(part.capitalize() for part in expectation.type.split("_"))
    kwargs = dict(expectation.kwargs)
    if expectation.column is not None:
        kwargs["column"] = expectation.column
    return getattr(gxe, camel)(**kwargs, meta={"name": expectation.name})


def _outcome(
    suite: Suite, view: View, expectation: Expectation, answer: Any, rows: pl.DataFrame
) -> CheckOutcome:
    content = answer.to_json_dict()
    raised = _exception_message(content.get("exception_info") or {})
    if raised:
        raise SuiteError(f"{suite.table}, {expectation.name}: {raised}")
    result = content.get("result") or {}
    n_unexpected = result.get("unexpected_count") or 0
    metadata: dict[str, Any] = {
        "expectation": expectation.type,
        "demand": _demand(expectation),
        "rows_judged": rows.height - (result.get("missing_count") or 0),
        "rows_unexpected": n_unexpected,
    }
    if result.get("observed_value") is not None:
        metadata["observed"] = result["observed_value"]
    told = result.get("partial_unexpected_index_list") or []
    sample = _table(_worst(expectation, view, rows) or told, view, expectation)
    if sample:
        metadata["sample"] = sample
    passed = bool(content["success"])
    return CheckOutcome(
        expectation.name, passed, _message(suite, view, expectation, metadata, passed), metadata
    )


def _worst(expectation: Expectation, view: View, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows farthest out of the bounds, where there are bounds; else whatever is told."""
    if expectation.column is None or not _has_bounds(expectation):
        return []
    # Not a number is not judged, and would count as larger than any.
    value = pl.col(expectation.column).cast(pl.Float64).fill_nan(None)
    low, high = expectation.kwargs.get("min_value"), expectation.kwargs.get("max_value")
    # Beyond one bound or the other, so the larger of the two distances.
    out = pl.max_horizontal(
        *([pl.lit(low) - value] if low is not None else []),
        *([value - pl.lit(high)] if high is not None else []),
    )
    return (
        rows.with_columns(_out=out)
        .filter(pl.col("_out") > 0)
        .sort("_out", descending=True, maintain_order=True)
        .head(SAMPLE_ROWS)
        .select(*dict.fromkeys([*view.identity, expectation.column]))
        .to_dicts()
    )


def _message(
    suite: Suite,
    view: View,
    expectation: Expectation,
    metadata: Mapping[str, Any],
    passed: bool,
) -> str:
    judged, unexpected = metadata["rows_judged"], metadata["rows_unexpected"]
    where = f"{suite.table}, view {view.name!r}"
    if "observed" in metadata:
        found = f"observed {metadata['observed']}"
    else:
        found = f"{unexpected} of {judged} rows outside {metadata['demand']}"
    return f"{where}: {found}" if passed else f"{where}: {found}. {expectation.description}"


def _demand(expectation: Expectation) -> str:
    bounds = ", ".join(
        f"{name} = {_bound(value)}"
        for name, value in expectation.kwargs.items()
        if value is not None
    )
    return f"{expectation.column or 'rows'}: {bounds}" if bounds else str(expectation.column)


def _bound(value: Any) -> str:
    """Floats to four digits: ``log(2)`` in full is noise in a message."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(rows: list[dict[str, Any]], view: View, expectation: Expectation) -> str:
    """Failing rows as a Markdown table: which row, and the value that failed."""
    if not rows:
        return ""
    judged = [expectation.column] if expectation.column else []
    columns = list(dict.fromkeys([*view.identity, *judged]))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows[:SAMPLE_ROWS]:
        cells = [_cell(row.get(column)) for column in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    """Whole numbers in full, so that an identifier can be looked up; others to six digits."""
    if not hasattr(value, "__float__"):
        return " ".join(str(value).split()).replace("|", "\\|")
    number = float(value)
    return str(int(number)) if number.is_integer() else f"{number:.6g}"


def _exception_message(information: Mapping[str, Any]) -> str:
    """Message of the first exception; Great Expectations nests them by metric when it has several."""
    if information.get("raised_exception"):
        return str(information.get("exception_message"))
    for inner in information.values():
        if isinstance(inner, Mapping) and (message := _exception_message(inner)):
            return message
    return ""
