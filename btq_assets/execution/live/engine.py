"""`LiveTradingEngine`: a model, a feed and a folder put together.

Belongs here: what is asked for, refused, loaded and taken up again. Does not belong here: the bars
themselves (`loop`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.execution.events import OrderTerms
from btq_assets.execution.live.broker import PaperBroker
from btq_assets.execution.live.feed import Feed
from btq_assets.execution.live.journal import Journal
from btq_assets.execution.live.loop import LiveSummary, Loop
from btq_assets.execution.live.market import fill_terms, paper_account
from btq_assets.execution.live.recovery import check_same_start, reconcile, remember
from btq_assets.execution.live.settings import LiveError, LiveSettings, RealTradingError
from btq_assets.execution.live.tables import journal_tables
from btq_assets.execution.live.targets import ModelTargets, Targets, load_forecaster
from btq_assets.execution.live.trials import trial_of
from btq_assets.execution.live.venues import venue_costs

if TYPE_CHECKING:
    from btq_assets.backtest.recording import Recorder

JOURNAL, BROKER = "engine.journal", "broker.journal"


class LiveTradingEngine:
    """Trade a model on paper, bar by bar.

    Parameters
    ----------
    config
        Windows, rhythm, sizing, limits, costs.
    paper_trading
        Must stay true. There is no way from here to a real order.
    model_path
        Folder of a saved model (``ridge``, ``lightgbm``, ``transformer_gnn``).
    feed
        Where bars come from; see `feed.ReplayFeed`.
    folder
        Where the journals are kept; one folder is one paper account.
    settings
        See `LiveSettings`.
    targets
        Decides instead of a model: any `targets.Targets`.
    clock
        UTC now; default the clock of the feed.
    timer
        Seconds, such as ``time.perf_counter``, to measure bar in to orders out.
    states
        ``regimes.states``, for the turbulent-state scale.
    writer
        Given the tables of `execution` when the feed ends or a stop is met.
    refuses
        Passed to the paper broker.
    open_journal
        Opens the two files; for tests.
    record
        Whether a replay counts as a trial of this process, as a backtest does. What a live feed
        brings is new data, and no trial.
    recorder
        Told of that trial, to write it into a ledger.

    Raises
    ------
    RealTradingError
        `paper_trading` is not true.
    LiveError
        No feed, no folder, or neither model nor targets.

    Examples
    --------
    >>> feed = ReplayFeed(bars, start)  # doctest: +SKIP
    >>> engine = LiveTradingEngine(  # doctest: +SKIP
    ...     config, paper_trading=True, model_path="models/ridge", feed=feed, folder="live"
    ... )
    >>> engine.start().equity  # doctest: +SKIP
    """

    def __init__(
        self,
        config: TradingConfig,
        paper_trading: bool = True,
        model_path: str | Path | None = None,
        *,
        feed: Feed | None = None,
        folder: str | Path | None = None,
        settings: LiveSettings | None = None,
        targets: Targets | None = None,
        clock: Callable[[], datetime] | None = None,
        timer: Callable[[], float] | None = None,
        states: pl.DataFrame | None = None,
        writer: Callable[[dict[str, pl.DataFrame]], None] | None = None,
        refuses: Callable[[OrderTerms], str | None] | None = None,
        open_journal: Callable[[Path], Journal] = Journal,
        record: bool = True,
        recorder: Recorder | None = None,
    ) -> None:
        if paper_trading is not True:
            raise RealTradingError(
                f"paper_trading = {paper_trading!r}: real orders do not exist here, no setting "
                "switches them on; leave it True"
            )
        if feed is None or folder is None:
            raise LiveError(
                "give feed= (such as ReplayFeed(bars, start)) and folder= (where the journals are "
                "kept)"
            )
        if (model_path is None) == (targets is None):
            raise LiveError("give model_path, the folder of a saved model, or targets, not both")
        self.config = config
        self.settings = settings or LiveSettings()
        self.folder = Path(folder)
        self._feed = feed
        self._model_path = None if model_path is None else Path(model_path)
        self._given = targets
        self._states, self._writer, self._refuses = states, writer, refuses
        now = clock or getattr(feed, "clock", None)
        if now is None:
            raise LiveError("give clock=, a function that returns the time of now in UTC")
        self._clock: Callable[[], datetime] = now
        self._timer = timer
        self._open = open_journal
        self._record, self._recorder = record, recorder

    def start(self, *, resume: bool = False, most_bars: int | None = None) -> LiveSummary:
        """Go on where the journal ends, until the feed does.

        Parameters
        ----------
        resume
            Lift a stop for a loss or a drawdown that an earlier start met.
        most_bars
            Return after this many bars.

        Raises
        ------
        LiveError
            The folder belongs to another configuration, or broker and journal disagree.
        JournalError
            A journal is damaged, or another loop uses the folder.
        """
        with self._open(self.folder / JOURNAL) as journal, self._open(self.folder / BROKER) as kept:
            # what the broker answered is on the disk before anything that rests on it is written
            journal.follow(kept)
            loop = self._loop(journal, kept, resume)
            for batch in self._feed.batches(loop.memory.last_final):
                if batch is None:
                    loop.look_up()
                    continue
                loop.take(batch)
                if most_bars is not None and loop.n_bars >= most_bars:
                    break
            summary = loop.summary()
            # counted before anybody sees it
            self._count()
            if self._writer is not None:
                self._writer(journal_tables(self.folder / JOURNAL, self.config.universe.main))
        return summary

    def _count(self) -> None:
        """A replay is a trial."""
        if not getattr(self._feed, "replays", False):
            return
        from btq_assets.backtest import recording

        trial = trial_of(self.folder / JOURNAL, self.config.universe.main)
        if trial is None:
            return
        if self._record:
            recording.SESSION.record(trial)
        if self._recorder is not None:
            self._recorder(trial)

    def _loop(self, journal: Journal, kept: Journal, resume: bool) -> Loop:
        """Everything as it was when the journal ended."""
        memory = remember(journal.records)
        history = self._feed.history(memory.last_final).filter(
            pl.col("universe") == self.config.universe.main
        )
        if history.is_empty():
            raise LiveError(
                f"the feed has no bar of {self.config.universe.main!r} before its first live one; "
                "features and sizing need a history"
            )
        # symbols are those of the first start, so that a restart trades the same ones
        symbols = memory.started.get("symbols") or sorted(history["symbol"].unique().to_list())
        begun = self._begun_with(symbols)
        check_same_start(memory, begun, self.folder)
        broker = PaperBroker(
            kept,
            fill_terms(self.config, self.settings.instruments),
            paper_account(self.config, self.settings.on_short_cash),
            refuses=self._refuses,
            venues=venue_costs(self.settings.venues, self.settings.instruments),
        )
        reconcile(memory, broker)
        if not memory.started:
            journal.append({"kind": "started", "with": begun})
        targets = self._given
        if targets is None:
            assert self._model_path is not None
            model = load_forecaster(self._model_path)
            targets = ModelTargets(model, self.config, symbols, states=self._states)
        targets.warm_up(history)
        return Loop(
            self.config,
            self.settings,
            self.folder,
            self._clock,
            self._timer,
            journal,
            broker,
            memory,
            targets,
            history,
            symbols,
            resume,
        )

    def _begun_with(self, symbols: Sequence[str]) -> dict[str, Any]:
        model = "given"
        if self._model_path is not None:
            digest = hashlib.sha256()
            files = sorted(self._model_path.iterdir()) if self._model_path.is_dir() else []
            for file in files:
                digest.update(file.read_bytes())
            model = digest.hexdigest()
        config = json.dumps(self.config.model_dump(mode="json"), sort_keys=True, default=str)
        return {
            "strategy": self.settings.strategy,
            "account": self.settings.account,
            "symbols": list(symbols),
            "model": model,
            "config": hashlib.sha256(config.encode()).hexdigest(),
        }
