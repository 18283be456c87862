"""Small commands around a run: ``python -m btq_assets summary | report | docs | clean | record | replay | serve``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m btq_assets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "summary", help="strategies against baselines, the report, a query to paste"
    )
    reporting = commands.add_parser("report", help="where the last report lies; --pdf prints it")
    reporting.add_argument("--pdf", action="store_true", help="print it to PDF, beside the HTML")
    reporting.add_argument("--browser", help="Chromium to print with; without: one on the PATH")
    commands.add_parser("docs", help="regenerate the generated pages of docs/")
    commands.add_parser("clean", help="drop computed tables; raw data and ledgers stay")
    _stream_commands(commands)
    serving = commands.add_parser("serve", help="answer HTTP requests with a model's forecasts")
    serving.add_argument("--model", required=True, help="folder of a saved model, or a model_id")
    serving.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
    serving.add_argument("--port", type=int, default=8080)
    chosen = parser.parse_args(arguments)
    if chosen.command == "record":
        return record(chosen.supervise, chosen.seconds)
    if chosen.command == "replay":
        return replay(chosen.folder, chosen.speed, chosen.port, chosen.minutes)
    if chosen.command == "serve":
        return serve(chosen.model, chosen.host, chosen.port)
    if chosen.command == "report":
        return report(browser=chosen.browser, pdf=chosen.pdf)
    return {"summary": summary, "docs": docs, "clean": clean}[chosen.command]()


def _stream_commands(commands: Any) -> None:
    recording = commands.add_parser(
        "record", help="record the live stream (sources.stream) into its inbox; stop with SIGTERM"
    )
    recording.add_argument("--supervise", action="store_true", help="start again when it dies")
    recording.add_argument("--seconds", type=float, help="stop after so many seconds")
    replaying = commands.add_parser("replay", help="play a recorded or generated stream, locally")
    replaying.add_argument("--folder", type=Path, help="a recorded inbox; without: SYNTHETIC")
    replaying.add_argument("--speed", type=float, default=1.0, help="0 plays as fast as it is read")
    replaying.add_argument("--port", type=int, default=9443)
    replaying.add_argument("--minutes", type=int, default=60, help="of the generated market")


def summary() -> int:
    """Print what a research run found."""
    from btq_assets.config import TradingConfig
    from btq_assets.contracts import backtest, evidence
    from btq_assets.contracts import report as report_tables
    from btq_assets.reports.console import print_summary
    from btq_assets.warehouse.paths import DataPaths
    from btq_assets.warehouse.reading import read_file

    paths = DataPaths.of(TradingConfig.load().warehouse.path)
    if not paths.published_file.exists():
        sys.stderr.write(f"{paths.published_file} does not exist yet: `make run` makes it\n")
        return 1
    contracts = (
        backtest.METRICS,
        backtest.RUNS,
        backtest.COMPARISONS,
        evidence.DEFLATED_SHARPE,
        evidence.SELECTION,
        evidence.DISCOVERIES,
        report_tables.RISK_REPORT,
    )
    frames = read_file(paths.published_file, contracts)
    written = frames[report_tables.RISK_REPORT.table]["path"][0]
    print_summary(frames, _shown(paths.root / written), _shown(paths.published_file))
    return 0


def report(*, pdf: bool, browser: str | None) -> int:
    """Say where the last report lies, and print it to PDF where asked."""
    from btq_assets.config import TradingConfig
    from btq_assets.printing import PrintingError, print_pdf
    from btq_assets.warehouse.paths import DataPaths

    page = DataPaths.of(TradingConfig.load().warehouse.path).reports / "risk_report.html"
    if not page.is_file():
        sys.stderr.write(f"{page} does not exist yet: `make run` makes it\n")
        return 1
    print(_shown(page))
    if pdf:
        try:
            print(_shown(print_pdf(page, page.with_suffix(".pdf"), browser)))
        except PrintingError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


def _shown(path: Path) -> str:
    """Path as a person would type it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def docs() -> int:
    """Write the generated pages."""
    from btq_assets.documentation import generated_pages
    from btq_assets.warehouse.paths import project_root

    for name, text in generated_pages().items():
        (project_root() / "docs" / name).write_text(text)
        print(f"docs/{name}")
    return 0


def clean() -> int:
    """Drop what can be computed again."""
    from btq_assets.config import TradingConfig
    from btq_assets.warehouse.cleaning import drop_computed_tables
    from btq_assets.warehouse.database import Warehouse
    from btq_assets.warehouse.paths import DataPaths

    config = TradingConfig.load()
    dropped = drop_computed_tables(
        Warehouse(DataPaths.of(config.warehouse.path), config.warehouse.lock_timeout_s)
    )
    print(f"dropped {len(dropped)} computed tables; raw tables, quarantine and ledgers stay")
    return 0


def record(supervise: bool, seconds: float | None) -> int:
    """Record the configured stream; touches neither Dagster nor the database."""
    from btq_assets.config import ConfigError, TradingConfig
    from btq_assets.sources.stream import commands
    from btq_assets.sources.stream.inbox import inbox_folder
    from btq_assets.sources.stream.supervise import GIVE_UP
    from btq_assets.sources.stream.supervise import supervise as keep_running
    from btq_assets.warehouse.paths import DataPaths

    try:
        config = TradingConfig.load()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return GIVE_UP
    if supervise:
        return keep_running([sys.executable, "-m", "btq_assets", "record"])
    settings = config.sources.stream
    folder = inbox_folder(settings.folder, DataPaths.of(config.warehouse.path).root)
    return commands.record(settings, folder, seconds)


def replay(folder: Path | None, speed: float, port: int, minutes: int) -> int:
    """Play a recorded inbox, or one session of the configured SYNTHETIC market."""
    from btq_assets.config import TradingConfig
    from btq_assets.sources.stream import commands
    from btq_assets.sources.stream.replay import events_of, recorded
    from btq_assets.sources.synthetic import generate
    from btq_assets.sources.synthetic.settings import spec_of
    from btq_assets.sources.synthetic.ticks import session_ticks

    if folder is not None:
        events = recorded(folder)
    else:
        market = generate(spec_of(TradingConfig.load().sources.synthetic))
        ticks = session_ticks(market, minutes=minutes)
        events = events_of(ticks.trades, ticks.quotes, ticks.book)
    if not events:
        sys.stderr.write(f"{folder} holds no recorded events\n")
        return 1
    return commands.replay(events, speed, port)


def serve(model: str, host: str, port: int) -> int:
    """Serve a saved model by its folder, or a registered one by its id."""
    from btq_assets.api.endpoint import forecast_app
    from btq_assets.api.endpoint import serve as answer
    from btq_assets.config import TradingConfig
    from btq_assets.models.forecaster import ModelError
    from btq_assets.models.saved import load_forecaster
    from btq_assets.warehouse.artifacts import ArtifactError
    from btq_assets.warehouse.errors import WarehouseError
    from btq_assets.warehouse.paths import DataPaths

    facts: dict[str, Any] = {}
    try:
        folder = Path(model)
        if not folder.is_dir():
            folder, facts = _registered(model, DataPaths.of(TradingConfig.load().warehouse.path))
        app = forecast_app(load_forecaster(folder), facts=facts)
    except (ModelError, ArtifactError, WarehouseError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"http://{host}:{port}/model says what it is; stop with Ctrl-C", flush=True)
    answer(app, host=host, port=port)
    return 0


def _registered(model_id: str, paths: Any) -> tuple[Path, dict[str, Any]]:
    """Folder of a registered model, its content compared with its hash, and what `/model` adds."""
    from btq_assets.contracts import models
    from btq_assets.models.reproduction import registered
    from btq_assets.warehouse.artifacts import ArtifactStore
    from btq_assets.warehouse.errors import WarehouseError
    from btq_assets.warehouse.reading import read_file

    if not paths.published_file.is_file():
        raise WarehouseError(
            f"{model_id!r} is no folder, and {paths.published_file} does not exist yet: "
            "`make run` makes it"
        )
    registry = read_file(paths.published_file, (models.REGISTRY,))[models.REGISTRY.table]
    row = registered(registry, model_id)
    folder = ArtifactStore(paths).path(row["artifact_path"], sha256=row["artifact_hash"])
    told = ("model_id", "variant", "fold", "fitted_from", "fitted_until", "artifact_hash")
    return folder, {name: row[name] for name in told}


if __name__ == "__main__":
    raise SystemExit(main())
