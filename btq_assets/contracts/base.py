"""What a table is: its columns, key, time columns and slice, in one typed object.

Belongs here: the `Column` and `TableContract` types and what follows from them alone (DDL,
casting, structural row rules). Does not belong here: any particular table, any Dagster object,
any statistic or business rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

UTC_TIMESTAMP = pl.Datetime("us", "UTC")

DUCKDB_TYPES: dict[object, str] = {
    pl.String: "VARCHAR",
    pl.Float64: "DOUBLE",
    pl.Float32: "FLOAT",
    pl.Int64: "BIGINT",
    pl.Int32: "INTEGER",
    pl.Boolean: "BOOLEAN",
    pl.Date: "DATE",
    UTC_TIMESTAMP: "TIMESTAMPTZ",
}


class ContractError(ValueError):
    """A frame does not have the shape its table's contract demands."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name
        Column name; carries its unit when the unit is not obvious (``_bps``, ``_annual``).
    dtype
        Polars dtype; one of the keys of ``DUCKDB_TYPES``.
    description
        Meaning and unit, in one sentence; shown in the Dagster UI and in dbt.
    nullable
        Whether a missing value is allowed.
    minimum, maximum
        Closed bounds outside which a value is impossible. ``None`` means unbounded.
    exclusive_minimum
        Whether ``minimum`` itself is already impossible.
    allowed
        The only legal values, for enumerations.
    finite
        Whether NaN and infinities are impossible (floats only).
    """

    name: str
    dtype: pl.DataType | type[pl.DataType]
    description: str
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    allowed: tuple[str, ...] | None = None
    finite: bool = True

    @property
    def duckdb_type(self) -> str:
        """DuckDB type of the column."""
        return DUCKDB_TYPES[self.dtype]

    @property
    def is_float(self) -> bool:
        """Whether the column holds floating-point numbers."""
        return self.dtype in (pl.Float64, pl.Float32)


@dataclass(frozen=True, eq=False)
class RowRule:
    """A structural rule over several columns of one row.

    Parameters
    ----------
    name
        Short name, used as the quarantine reason.
    violated
        Polars expression that is true where the row is impossible. Null counts as not violated.
    """

    name: str
    violated: pl.Expr


@dataclass(frozen=True, eq=False)
class TableContract:
    """Everything the rest of the house may assume about one table.

    Parameters
    ----------
    layer, name
        DuckDB schema and table; ``[layer, name]`` is the Dagster asset key.
    description
        What a row is, in one or two sentences.
    columns
        All columns in order.
    key
        Columns that identify a row; never null, never repeated.
    writer
        ``"asset"`` (a `table_asset`), ``"dbt"`` or ``"ledger"``.
    append_only
        Raw tables: a commit adds rows, and never changes or removes one.
    slice_by
        Column whose distinct values are replaced together on a re-run; ``None`` replaces the table.
    rules
        Structural rules over several columns.
    max_rejected_fraction
        Share of rows that may go to quarantine before the commit is refused. Raw tables tolerate
        bad input; a table we compute ourselves tolerates none.
    owner, kinds
        Shown in the Dagster UI.
    """

    layer: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    writer: str = "asset"
    append_only: bool = False
    slice_by: str | None = None
    rules: tuple[RowRule, ...] = ()
    max_rejected_fraction: float = 0.0
    owner: str = "team:research"
    kinds: tuple[str, ...] = ("duckdb", "polars")

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise ContractError(f"{self.table}: column(s) {sorted(repeated)} are declared twice")
        unknown = [name for name in (*self.key, self.slice_by) if name and name not in names]
        if unknown:
            raise ContractError(f"{self.table}: key or slice column(s) {unknown} are not declared")

    @property
    def table(self) -> str:
        """``schema.table`` as SQL writes it."""
        return f"{self.layer}.{self.name}"

    @property
    def asset_key(self) -> tuple[str, str]:
        """``(layer, name)``, the parts of the Dagster asset key."""
        return (self.layer, self.name)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def schema(self) -> pl.Schema:
        """Polars schema of the table."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def time_column(self) -> str | None:
        """Column a part of the table is read by: the first time of the key but ``known_at``."""
        times = [name for name in self.key if self.schema[name].is_temporal()]
        return next((name for name in times if name != "known_at"), None)

    def column(self, name: str) -> Column:
        """Return the column called `name`; raises `ContractError` when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(f"{self.table} has no column {name!r}; it has {self.column_names}")

    def empty(self) -> pl.DataFrame:
        """A frame of this table with no rows."""
        return pl.DataFrame(schema=self.schema)

    def ddl(self) -> str:
        """Return the ``CREATE TABLE IF NOT EXISTS`` statement.

        The key is not an index: DuckDB checks one eagerly, so that replacing a slice inside one
        transaction would be refused. `violations` and the warehouse's anti-join keep it instead.
        """
        lines = [
            f'"{column.name}" {column.duckdb_type}{"" if column.nullable else " NOT NULL"}'
            for column in self.columns
        ]
        return f"CREATE TABLE IF NOT EXISTS {self.table} (\n  " + ",\n  ".join(lines) + "\n)"


def cast_to_contract(frame: pl.DataFrame, contract: TableContract) -> pl.DataFrame:
    """Select, order and cast the columns of `frame` to those of `contract`.

    Integer widths and float widths are cast, all-null columns take the contract's type, and
    timestamps are converted to UTC microseconds. Nothing else changes type silently.

    Parameters
    ----------
    frame
        Rows of the table, in any column order.
    contract
        The table.

    Returns
    -------
    polars.DataFrame
        Same rows, with exactly the contract's columns and dtypes.

    Raises
    ------
    ContractError
        A column is missing or superfluous, a timestamp carries no time zone, or a type cannot
        be cast without changing its meaning.
    """
    missing = [name for name in contract.column_names if name not in frame.columns]
    extra = [name for name in frame.columns if name not in contract.column_names]
    if missing or extra:
        raise ContractError(
            f"{contract.table}: missing column(s) {missing}, unexpected column(s) {extra}; "
            f"the contract has {list(contract.column_names)}"
        )
    return frame.select(_cast_expressions(frame.schema, contract))


def _cast_expressions(schema: pl.Schema, contract: TableContract) -> Iterable[pl.Expr]:
    for column in contract.columns:
        have = schema[column.name]
        expression = pl.col(column.name)
        if have == column.dtype:
            yield expression
        elif have == pl.Null:
            yield expression.cast(column.dtype)
        elif column.dtype == UTC_TIMESTAMP and isinstance(have, pl.Datetime):
            if have.time_zone is None:
                raise ContractError(
                    f"{contract.table}.{column.name} has no time zone; convert it to UTC where it "
                    "is parsed, for only the source knows which zone it meant"
                )
            yield expression.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
        elif (have.is_numeric() and column.dtype in (pl.Float64, pl.Float32)) or (
            have.is_integer() and column.dtype in (pl.Int64, pl.Int32)
        ):
            yield expression.cast(column.dtype)
        elif isinstance(have, (pl.Categorical, pl.Enum)) and column.dtype == pl.String:
            yield expression.cast(pl.String)
        else:
            raise ContractError(
                f"{contract.table}.{column.name} is {have}, the contract says {column.dtype}"
            )


def violations(frame: pl.DataFrame, contract: TableContract) -> pl.DataFrame:
    """Rows of `frame` that are impossible under `contract`, each with its reasons.

    Parameters
    ----------
    frame
        Rows already cast by `cast_to_contract`.
    contract
        The table.

    Returns
    -------
    polars.DataFrame
        The impossible rows, with an extra ``reason`` column that joins every reason by ``; ``, and
        ``row_index`` (their position in `frame`). Empty when all rows are possible.
    """
    rules = [(reason, broken.fill_null(False)) for reason, broken in _rules(contract)]
    # Most frames come in the order of their key, and then no hashing is needed to know.
    repeated = (
        pl.lit(False)
        if _strictly_ascending(frame, contract.key)
        else pl.struct(contract.key).is_duplicated()
    )
    rules.append((f"duplicate key ({', '.join(contract.key)})", pl.col("_repeated")))
    # Reasons are spelled out for the few rows that have any.
    return (
        frame.with_row_index("row_index")
        .with_columns(_repeated=repeated)
        .filter(pl.any_horizontal(broken for _, broken in rules))
        .with_columns(
            reason=pl.concat_str(
                [pl.when(broken).then(pl.lit(reason)) for reason, broken in rules],
                separator="; ",
                ignore_nulls=True,
            )
        )
        .drop("_repeated")
    )


def _strictly_ascending(frame: pl.DataFrame, key: tuple[str, ...]) -> bool:
    """Whether each row's key is greater than that of the row before: then none is repeated.

    A key with a missing part counts as not ascending.
    """
    ahead = pl.lit(False)
    for name in reversed(key):
        value, before = pl.col(name), pl.col(name).shift(1)
        ahead = (value > before) | ((value == before) & ahead)
    # The first row has none before it.
    return bool(frame.select(ahead.slice(1).fill_null(False).all()).item())


def _rules(contract: TableContract) -> Iterable[tuple[str, pl.Expr]]:
    for column in contract.columns:
        value = pl.col(column.name)
        if not column.nullable or column.name in contract.key:
            yield f"{column.name} is null", value.is_null()
        if column.is_float and column.finite:
            yield f"{column.name} is not finite", ~value.is_finite()
        if column.minimum is not None:
            low = value <= column.minimum if column.exclusive_minimum else value < column.minimum
            sign = "<=" if column.exclusive_minimum else "<"
            yield f"{column.name} {sign} {column.minimum:g}", low
        if column.maximum is not None:
            yield f"{column.name} > {column.maximum:g}", value > column.maximum
        if column.allowed is not None:
            yield f"{column.name} not in {list(column.allowed)}", ~value.is_in(column.allowed)
    for rule in contract.rules:
        yield rule.name, rule.violated
