"""A tiny warehouse with every table dbt reads, and one real `dbt build` over it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from filelock import FileLock

from btq_assets.contracts import backtest, base, evidence, features, models, portfolio, raw, risk
from btq_assets.contracts.raw import alternative as raw_alternative
from data_quality import dbt_files

PROJECT = Path(__file__).resolve().parents[3] / "dbt_project"

#: Monday 2020-01-06 to Wednesday 2020-03-25; Friday 2020-02-14 is a holiday.
HOLIDAY = dt.date(2020, 2, 14)
SESSIONS = [
    day
    for day in (dt.date(2020, 1, 6) + dt.timedelta(days=n) for n in range(80))
    if day.weekday() < 5 and day != HOLIDAY
]
CLOSES = [dt.datetime(day.year, day.month, day.day, 21, tzinfo=dt.UTC) for day in SESSIONS]
LATER = dt.datetime(2020, 3, 24, 12, tzinfo=dt.UTC)
#: A day of the Treasury's curve, percent; halves and quarters, so that sums are exact.
CURVE = {"BC_3MONTH": 1.5, "BC_2YEAR": 1.625, "BC_10YEAR": 1.875}
RUN_STRATEGIES = {"one_over_n": "baseline", "ridge": "candidate", "sp500": "benchmark"}


@dataclass(frozen=True)
class Warehouse:
    """The built file, and how to run the compiled SQL of a test on a corrupted copy of it."""

    file: Path
    target: Path
    log: str

    def connect(self, file: Path | None = None) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(file or self.file))
        connection.execute("set TimeZone = 'UTC'")
        return connection

    def compiled_test(self, name: str) -> str:
        found = list((self.target / "compiled").rglob(f"{name}.sql"))
        assert len(found) == 1, f"{name}: {found}"
        return found[0].read_text()


def _bars(symbol: str, seed: int, dataset: str, *, ohlcv: bool) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, len(CLOSES))))
    nothing = [None] * len(CLOSES)
    return pl.DataFrame(
        {
            "dataset": dataset,
            "symbol": symbol,
            "freq": "1d",
            "ts": CLOSES,
            "known_at": CLOSES,
            "known_at_basis": "assumed_lag",
            "open": close * 0.99 if ohlcv else nothing,
            "high": close * 1.02 if ohlcv else nothing,
            "low": close * 0.98 if ohlcv else nothing,
            "close": close if ohlcv else nothing,
            "adj_close": close * 0.5 if ohlcv else close,
            "volume": np.full(len(CLOSES), 1e6) if ohlcv else nothing,
            "currency": "USD",
        },
        schema=raw.BARS_SAMPLE.schema,
    )


def _raw_tables() -> dict[base.TableContract, pl.DataFrame]:
    bars = [_bars(symbol, seed, "closes", ohlcv=False) for seed, symbol in enumerate("ABCD")]
    bars.append(_bars("A", 9, "ohlcv", ohlcv=True))
    index = _bars("^SP500", 5, "index", ohlcv=True).with_columns(adj_close=pl.lit(None))
    bars.append(index.with_columns(pl.lit(None).cast(pl.Float64).alias("adj_close")))
    # A second vintage of one bar, five per cent higher.
    revised = (
        bars[0]
        .slice(3, 1)
        .with_columns(
            known_at=pl.lit(LATER),
            known_at_basis=pl.lit("recorded"),
            adj_close=pl.col("adj_close") * 1.05,
        )
    )
    # An intraday bar, which no daily table may show.
    intraday = (
        bars[0].slice(0, 1).with_columns(freq=pl.lit("1h"), ts=pl.col("ts") - pl.duration(hours=3))
    )
    members = [
        *(("us20", symbol, "closes", "adjusted_close_only") for symbol in "ABCD"),
        ("us_ohlcv", "A", "ohlcv", "ohlcv_with_adjusted_close"),
        ("benchmark", "^SP500", "index", "price_index"),
        ("unadjusted", "U", "raw", "unadjusted"),
    ]
    membership = pl.DataFrame(
        [
            (universe, symbol, SESSIONS[0], None, source, dataset, "XNYS", "USD", basis, None, "")
            for universe, symbol, dataset, basis in members
            for source in ["yahoo" if dataset == "raw" else "sample"]
        ],
        schema=raw.UNIVERSE_MEMBERSHIP.schema,
        orient="row",
    ).with_columns(
        # D leaves the universe at the end of January.
        valid_to=pl.when(pl.col("symbol") == "D").then(dt.date(2020, 1, 31))
    )
    # An unadjusted series that is split two for one on 3 February, as was said at first wrongly.
    unadjusted = _bars("U", 11, "raw", ohlcv=True).with_columns(
        pl.col("open", "high", "low", "close")
        / pl.when(pl.col("ts") >= dt.datetime(2020, 2, 3, tzinfo=dt.UTC)).then(2.0).otherwise(1.0),
        adj_close=pl.lit(None, dtype=pl.Float64),
    )
    actions = pl.DataFrame(
        [
            _row(
                raw.CORPORATE_ACTIONS_YAHOO,
                dataset="raw",
                symbol="U",
                ex_date=dt.date(2020, 2, 3),
                kind="split",
                known_at=known_at,
                known_at_basis="recorded",
                value=value,
                currency="USD",
                basis="as_traded",
            )
            for known_at, value in ((CLOSES[0], 3.0), (LATER, 2.0))
        ],
        schema=raw.CORPORATE_ACTIONS_YAHOO.schema,
        orient="row",
    )
    return {
        raw.BARS_YAHOO: unadjusted,
        raw.CORPORATE_ACTIONS_YAHOO: actions,
        raw.BARS_SAMPLE: pl.concat([*bars, revised, intraday]),
        raw.UNIVERSE_MEMBERSHIP: membership,
        raw.MACRO_SAMPLE: _macro(),
        raw.MACRO_TREASURY: _curves(),
        raw.MACRO_FRED: _another_cpi(),
        **_alternative(),
        **_ticks(),
        raw.DOCUMENTS_SAMPLE: pl.DataFrame(
            [
                _row(
                    raw.DOCUMENTS_SAMPLE,
                    doc_id="d1",
                    symbol="A",
                    published_at=CLOSES[0],
                    known_at=CLOSES[1],
                    known_at_basis="assumed_lag",
                    headline="A reports",
                    label="SYNTHETIC",
                    dataset="test",
                )
            ],
            schema=raw.DOCUMENTS_SAMPLE.schema,
            orient="row",
        ),
    }


def _macro() -> pl.DataFrame:
    """Two periods; the older one is revised after the newer one is out, the newer one later."""
    rows = [
        (dt.date(2019, 11, 1), dt.datetime(2020, 1, 10, 13, tzinfo=dt.UTC), 1.0),
        (dt.date(2019, 12, 1), dt.datetime(2020, 2, 3, 13, tzinfo=dt.UTC), 2.0),
        (dt.date(2019, 11, 1), dt.datetime(2020, 2, 20, 13, tzinfo=dt.UTC), 1.5),
        (dt.date(2019, 12, 1), dt.datetime(2020, 3, 2, 13, tzinfo=dt.UTC), 2.5),
    ]
    # A provider has this one too, with another value: see `_another_cpi`.
    shared = ("BOTH", rows[0][0], rows[0][1], "recorded", 3.0, "index", "VINTAGE", "test")
    return pl.DataFrame(
        [
            *(
                ("CPI", period, known, "recorded", value, "index", "VINTAGE", "test")
                for period, known, value in rows
            ),
            shared,
        ],
        schema=raw.MACRO_SAMPLE.schema,
        orient="row",
    )


def _curves() -> pl.DataFrame:
    """Three days: one whole and revised on the third, one whole, one without its 2-year yield."""

    def evening(day: int) -> dt.datetime:
        return dt.datetime(2020, 1, day, 23, tzinfo=dt.UTC)

    rows = [
        *((name, 6, evening(6), value) for name, value in CURVE.items()),
        ("BC_2YEAR", 6, evening(8), 1.75),
        *((name, 7, evening(7), value + 0.125) for name, value in CURVE.items()),
        ("BC_3MONTH", 8, evening(8), 1.5),
        ("BC_10YEAR", 8, evening(8), 2.0),
        ("BC_30YEAR", 8, evening(8), 2.5),
    ]
    return pl.DataFrame(
        [
            (name, dt.date(2020, 1, day), known, "recorded", value, "percent", "FINAL", "test")
            for name, day, known, value in rows
        ],
        schema=raw.MACRO_TREASURY.schema,
        orient="row",
    )


def _another_cpi() -> pl.DataFrame:
    """A series the sample has too, from a provider that is preferred."""
    known = dt.datetime(2020, 2, 1, 14, tzinfo=dt.UTC)
    return pl.DataFrame(
        [
            (name, dt.date(2019, 12, 1), known, "assumed_lag", 7.0, "index", "REVISED", "test")
            for name in ("BOTH",)
        ],
        schema=raw.MACRO_FRED.schema,
        orient="row",
    )


def _alternative() -> dict[base.TableContract, pl.DataFrame]:
    """A row of each kind of alternative data, known twice: at CLOSES[1], and changed at LATER."""
    contracts = (
        raw_alternative.OPTION_QUOTES_CBOE, raw_alternative.DARK_POOL_FINRA,
        raw_alternative.SHORT_VOLUME_FINRA, raw_alternative.ONCHAIN_COINMETRICS,
        raw_alternative.OPTION_TRADES_DERIBIT,
    )  # fmt: skip
    given = {
        "dataset": "test", "symbol": "A", "underlying": "A", "asset": "btc", "metric": "TxCnt",
        "contract_id": "A200619C00100000", "root": "A", "kind": "call", "strike": 100.0,
        "expiry": dt.date(2020, 6, 19), "expires_at": dt.datetime(2020, 6, 19, 20, tzinfo=dt.UTC),
        "ts": CLOSES[0], "session": SESSIONS[0], "week": SESSIONS[0], "venue": "V", "tier": "T1",
        "known_at_basis": "recorded", "underlying_basis": "spot", "premium_unit": "currency",
        "currency": "USD", "multiplier": 100.0, "unit": "transactions",
        "total_volume": 100.0, "trade_id": "1", "trade_seq": 1, "amount": 1.0, "side": "buy",
    }  # fmt: skip
    return {
        contract: pl.DataFrame(
            [
                _row(
                    contract,
                    **{
                        name: value
                        for name, value in {
                            **given, "known_at": known_at, "bid": number, "price": number, "value": number,
                            "shares": number, "short_volume": number, "venue": venue,
                        }.items()
                        if name in contract.column_names
                    },
                )
                for known_at, number, venue in (
                    (CLOSES[1], 10.0, "V"), (LATER, 30.0, "V"), (CLOSES[1], 10.0, "W"),
                )
                if venue == "V" or contract is raw_alternative.DARK_POOL_FINRA
            ],
            schema=contract.schema,
            orient="row",
        )
        for contract in contracts
    }  # fmt: skip


def _ticks() -> dict[base.TableContract, pl.DataFrame]:
    """Half a minute of one stream: a book of two snapshots, and a gap before the second one."""

    def at(seconds: float) -> dt.datetime:
        return dt.datetime(2020, 3, 25, 12, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)

    def stamps(seconds: float) -> dict[str, object]:
        # Everything comes a second after it happened.
        late = at(seconds + 1)
        return {
            "dataset": "venue", "symbol": "BTCUSDT", "ts": at(seconds), "known_at": late,
            "known_at_basis": "recorded", "received_at": late,
        }  # fmt: skip

    book = [
        *((1, 0, "snapshot", "bid", price, 1.0) for price in range(88, 100)),
        *((1, 0, "snapshot", "ask", price, 2.0) for price in range(101, 113)),
        (2, 5, "change", "bid", 99, 0.0),
        (2, 5, "change", "ask", 100, 3.0),
        (9, 20, "snapshot", "bid", 98, 7.0),
        (9, 20, "snapshot", "ask", 99, 8.0),
    ]
    rows: dict[base.TableContract, list[dict[str, object]]] = {
        raw.TRADES_STREAM: [
            {**stamps(n), "trade_id": n, "price": 99.0 + n, "quantity": 2.0,
             "buyer_is_maker": flag, "via": "stream"}
            for n, flag in ((1, True), (2, False), (3, None))
        ] + [
            # Elsewhere, three minutes before: the second one is whole.
            {**stamps(60 * n - 200), "dataset": "elsewhere", "trade_id": n, "price": 5.0,
             "quantity": 2.0, "buyer_is_maker": False, "via": "stream"}
            for n in (1, 2, 3)
        ],
        raw.QUOTES_STREAM: [
            {**stamps(n), "update_id": n, "bid_price": bid, "bid_quantity": 1.0,
             "ask_price": 101.0, "ask_quantity": 1.0}
            for n, bid in ((1, 99.0), (2, 101.5), (3, 101.0))
        ],
        raw.BOOK_STREAM: [
            {**stamps(second), "update_id": number, "first_update_id": number, "kind": kind,
             "side": side, "price": float(price), "quantity": quantity}
            for number, second, kind, side, price, quantity in book
        ],
        raw.STREAM_GAPS: [
            {"dataset": "venue", "stream": stream, "symbol": "BTCUSDT", "ts": at(12 + part),
             "reason": "out_of_sync", "part": part, "outcome": outcome, "first_missing": 3,
             "last_missing": 8, "dark_since": at(6)}
            for stream, part, outcome in (
                ("book", 0, "resynced"), ("trades", 0, "backfilled"), ("trades", 1, "lost"),
            )
        ],
    }  # fmt: skip
    return {c: pl.DataFrame(found, schema=c.schema) for c, found in rows.items()}


def _feature_tables() -> dict[base.TableContract, pl.DataFrame]:
    """One session of two families, one feature judged, and three fits that leaned on it."""

    def of(contract: base.TableContract, **given: object) -> pl.DataFrame:
        return pl.DataFrame([_row(contract, **given)], schema=contract.schema, orient="row")

    fits = [
        of(
            contract,
            universe="us20",
            variant="base",
            seed=0,
            fold=fold,
            feature="rsi_14",
            importance=share,
        )
        for contract, fold, share in (
            (models.IMPORTANCES_RIDGE, 0, 0.25),
            (models.IMPORTANCES_LIGHTGBM, 0, 0.5),
            (models.IMPORTANCES_LIGHTGBM, 1, 0.75),
        )
    ]
    return {
        features.TECHNICAL: of(
            features.TECHNICAL, universe="us20", symbol="A", ts=CLOSES[2], rsi_14=55.0
        ),
        features.MACRO: of(features.MACRO, universe="us20", ts=CLOSES[2], vix_level=14.0),
        features.INTRADAY: of(
            features.INTRADAY, universe="us20", symbol="A", freq="5m", ts=CLOSES[2],
            known_at=CLOSES[2] + dt.timedelta(seconds=2), intraday_rsi_14=40.0,
        ),
        features.TICK_MICROSTRUCTURE: of(
            features.TICK_MICROSTRUCTURE, universe="us20", symbol="A", ts=CLOSES[2], vpin=0.5,
            n_trades=1, n_aggressor_known=1, n_lee_ready_right=1, n_tick_rule_right=1,
        ),
        features.QUALITY: of(
            features.QUALITY, universe="us20", freq="1d", feature="rsi_14", family="technical",
            missing_share=0.25, cluster="rsi_14", cluster_size=1, n_rows=4, reference_start=CLOSES[0], reference_end=CLOSES[9],
            n_reference=3, n_recent=3,
        ),
        features.CATALOGUE: of(
            features.CATALOGUE, name="rsi_14", family="technical", requires="close",
            lookback_sessions=14, recursive=True, scale_invariant=True, enabled=True,
        ),
        models.IMPORTANCES_RIDGE: fits[0],
        models.IMPORTANCES_LIGHTGBM: pl.concat(fits[1:]),
    }  # fmt: skip


def _backtest_tables() -> dict[base.TableContract, pl.DataFrame]:
    """Runs whose figures are computed here from plain formulas, not by the engine."""
    tables: dict[base.TableContract, list[pl.DataFrame]] = {}

    def add(contract: base.TableContract, rows: list[tuple]) -> None:
        tables.setdefault(contract, []).append(
            pl.DataFrame(rows, schema=contract.schema, orient="row")
        )

    for seed, (strategy, role) in enumerate(RUN_STRATEGIES.items()):
        run = f"run-{strategy}"
        returns = np.random.default_rng(seed).normal(0.001, 0.01, len(CLOSES) - 1)
        equity = 1e6 * np.cumprod(np.concatenate([[1.0], 1 + returns]))
        cash = 0.2 * equity
        add(
            backtest.RUNS,
            [(run, strategy, "us20", role, CLOSES[0], CLOSES[-1], 1e6, "{}", 0.0, 0, "")],
        )
        add(
            backtest.EQUITY,
            [
                (run, strategy, ts, value, held, 0.8, 0.8, 0.01, 1.0, change)
                for ts, value, held, change in zip(
                    CLOSES, equity, cash, [None, *returns], strict=True
                )
            ],
        )
        n, deviation = returns.size, returns.std(ddof=1)
        figures = {
            "annual_return": (equity[-1] / equity[0]) ** (252 / n) - 1,
            "annual_volatility": deviation * 252**0.5,
            "sharpe": returns.mean() / deviation * 252**0.5,
            "max_drawdown": (1 - equity / np.maximum.accumulate(equity)).max(),
            "sortino": 1.0,
            "calmar": 1.0,
            "win_rate": 0.5,
            "turnover_annual": 2.5,
            "information_ratio": 0.3,
            "beta": 0.9,
            "alpha_annual": 0.01,
            "cvar_95": 0.02,
            "longest_underwater": 40.0,
            "trip_profit_factor": 1.2,
            "holding_sessions": 15.0,
            "break_even_cost": 35.0,
            "capacity": None if strategy == "one_over_n" else 5e7,
        }
        add(
            backtest.METRICS,
            [
                (
                    run,
                    strategy,
                    name,
                    value,
                    None,
                    None,
                    "",
                    "" if value is not None else "no volume",
                )
                for name, value in figures.items()
            ],
        )
        add(
            backtest.ATTRIBUTION,
            [
                _row(
                    backtest.ATTRIBUTION,
                    run_id=run,
                    strategy=strategy,
                    model=model,
                    factor=factor,
                    coefficient=value,
                    t_value=1.5,
                    n=n,
                    lags=4,
                    frequency="day",
                    note="",
                )
                for model, factor, value in (
                    ("universe", "alpha", 0.02),
                    ("universe", "market", 0.9),
                    ("fama_french_3", "alpha", 0.05),
                )
            ],
        )
        if role == "benchmark":
            continue
        add(
            backtest.SLICES,
            [
                (run, strategy, dimension, CLOSES[1].strftime(form), metric, value, 5, "")
                for dimension, form in (("month", "%Y-%m"), ("year", "%Y"))
                for metric, value in (("excess_return", 0.004), ("max_drawdown", 0.03))
            ],
        )
        add(
            backtest.POSITIONS,
            [
                (run, strategy, symbol, CLOSES[at], 1.0, 0.2 * equity[at], 0.2)
                for at in (1, len(CLOSES) - 1)
                for symbol in "ABCD"
            ],
        )
        add(
            risk.MEASURES,
            [
                (strategy, ts, measure, "historical", 0.95, value, True, 500)
                for ts in CLOSES[-2:]
                for measure, value in (("var", 0.02), ("cvar", 0.03))
            ],
        )
        add(
            risk.EXCEEDANCES,
            [(strategy, "historical", 0.95, 100, 5.0, 6, 0.6, "")],
        )
        targets = portfolio.TARGETS_BASELINES if role == "baseline" else portfolio.TARGETS_RANK
        add(
            targets,
            [(strategy, "us20", symbol, CLOSES[0], 0.2) for symbol in "ABCD"],
        )
        if role == "candidate":
            add(
                backtest.COMPARISONS,
                [
                    _row(
                        backtest.COMPARISONS,
                        strategy=strategy,
                        against="one_over_n",
                        against_role="one_over_n and best_baseline",
                        n=n,
                        mean_difference_annual=0.01,
                        ci_low_annual=-0.02,
                        ci_high_annual=0.04,
                        sharpe_difference=0.1,
                        significant=False,
                    )
                ],
            )
            # The ledger also holds a trial of an earlier configuration, with other returns.
            add(
                evidence.DEFLATED_SHARPE,
                [
                    _row(
                        evidence.DEFLATED_SHARPE,
                        strategy=strategy,
                        trial_id=trial,
                        n_trials=n_trials,
                        n_returns=n,
                        sharpe_per_period=sharpe,
                        probabilistic_sharpe=0.6,
                    )
                    for trial, n_trials, sharpe in (
                        ("a-earlier", 1, 0.5),
                        ("b-current", 7, float(returns.mean() / deviation)),
                    )
                ],
            )
    add(
        models.FORECASTS_RIDGE,
        [
            _row(
                models.FORECASTS_RIDGE,
                universe="us20",
                symbol=symbol,
                ts=CLOSES[0],
                horizon_sessions=5,
                variant="base",
                seed=0,
                fold=0,
                forecast=0.01,
                model_id="m1",
            )
            for symbol in "ABCD"
        ],
    )
    add(
        models.REGISTRY,
        [
            _row(
                models.REGISTRY,
                model_id="m1",
                model="ridge",
                variant="base",
                fold=0,
                seed=0,
                fitted_from=CLOSES[0] - dt.timedelta(days=900),
                fitted_until=CLOSES[0],
                registered_at=LATER,
            )
        ],
    )
    return {contract: pl.concat(frames) for contract, frames in tables.items()}


def _row(contract: base.TableContract, **values: object) -> tuple:
    """A row in the contract's order; columns not named are empty text or null."""
    unknown = set(values) - set(contract.column_names)
    assert not unknown, f"{contract.table} has no column {unknown}"
    return tuple(
        values.get(column.name, "" if column.dtype == pl.String else None)
        for column in contract.columns
    )


def fill_warehouse(file: Path) -> None:
    """Create every source table but an optional one, and fill those with rows above."""
    rows = {**_raw_tables(), **_feature_tables(), **_backtest_tables()}
    with duckdb.connect(str(file)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for contract in dbt_files.source_contracts():
            connection.execute(f"create schema if not exists {contract.layer}")
            if contract.table == "regimes.states":
                continue  # switched off by configuration
            connection.execute(contract.ddl())
            frame = rows.get(contract)
            if frame is not None:
                connection.register("frame", base.cast_to_contract(frame, contract).to_arrow())
                connection.execute(f"insert into {contract.table} select * from frame")
                connection.unregister("frame")
        connection.execute(
            "insert into quarantine.rows values ('1', 'raw.bars_sample', 'x', '{}', 'r', now())"
        )


def _run_dbt(folder: Path, *arguments: str, file: Path | None) -> subprocess.CompletedProcess[str]:
    """Run dbt as the platform does: working file by environment variable, own target folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    environment.pop("BTQ_WAREHOUSE_FILE", None)
    environment["DBT_TARGET_PATH"] = str(folder / "target")
    environment["DBT_LOG_PATH"] = str(folder / "logs")
    if file is not None:
        environment["BTQ_WAREHOUSE_FILE"] = str(file)
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "dbt"),
            *arguments,
            "--project-dir",
            str(PROJECT),
            "--profiles-dir",
            str(PROJECT),
        ],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=folder,
    )


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Built once a run, in the two selections the platform uses; each worker has its own copy."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "dbt-built"
    done = folder / "done.log"  # written last: what is there without it broke half-way
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            done.write_text(_built(folder))
    copy = tmp_path_factory.mktemp("dbt") / "btq.duckdb"
    shutil.copy(folder / copy.name, copy)
    return Warehouse(copy, folder / "target", done.read_text())


def _built(folder: Path) -> str:
    """Fill `btq.duckdb` of the folder and build it; what dbt said."""
    file = folder / "btq.duckdb"
    fill_warehouse(file)
    log = ""
    for selection in (("staging", "core"), ("mart", "features")):
        done = _run_dbt(folder, "build", "--select", *selection, file=file)
        log += done.stdout + done.stderr
        assert done.returncode == 0, log
    return log


@pytest.fixture(scope="session")
def run_dbt() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run dbt itself."""
    return _run_dbt
