"""`AdvancedBacktester`: the backtest room's, with the report as a page of the reports room."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import polars as pl

from btq_assets.backtest.backtester import AdvancedBacktester as _Backtester
from btq_assets.backtest.market import BacktestError
from btq_assets.backtest.scenarios import ScenarioResult


class Report(str):
    """Text of a report in Markdown, and the same as a page.

    Attributes
    ----------
    html
        Self-contained page: charts that answer to the pointer, nothing loaded from anywhere.
    """

    html: str

    @classmethod
    def of(cls, markdown: str, html: str) -> Report:
        """A report with both texts."""
        made = cls(markdown)
        made.html = html
        return made

    def save(self, path: str | Path) -> Path:
        """Write the page (``.html``) or the Markdown (``.md``).

        Raises
        ------
        BacktestError
            Another ending.
        """
        path = Path(path)
        texts = {".html": self.html, ".md": str(self)}
        if path.suffix not in texts:
            raise BacktestError(f"path = {str(path)!r}: the name must end in .html or .md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path.suffix], encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        """The page inside a notebook, in a frame of its own."""
        frame = 'style="width:100%;height:900px;border:1px solid #ddd"'
        return f'<iframe srcdoc="{escape(self.html)}" {frame}></iframe>'


class AdvancedBacktester(_Backtester):  # noqa: D101
    __doc__ = _Backtester.__doc__

    def generate_report(
        self,
        results: Mapping[str, ScenarioResult] | None = None,
        path: str | Path | None = None,
        *,
        trials: pl.DataFrame | None = None,
    ) -> Report:
        """Report of the whole run and of its scenarios, as Markdown and as a page.

        Verdict with counted trials, figures with intervals beside 1/N, equity, drawdown, rolling
        Sharpe ratio and months, kinds of market, crises, stresses and bootstrapped paths.

        Parameters
        ----------
        results
            What `run_scenarios` returned; each kind gets a section. ``run_scenarios(["all"])`` asks
            for everything.
        path
            Where to write it: ``.html`` or ``.md``. In a notebook the report shows itself.
        trials
            Rows of ``evidence.trials`` that led to this strategy (``found.trials`` of a
            walk-forward); they count in the verdict.

        Returns
        -------
        Report
            Text in Markdown; ``report.html`` is the page.
        """
        from btq_assets.reports.notebook import FOOTER, Page, view_of
        from btq_assets.reports.render import render

        results, judged = results or {}, self.judged(trials)
        first, last = self._market.ts[0], self._market.ts[-1]
        view = view_of(
            Page(
                done=self.run(),
                plain=self.one_over_n(),
                judged=judged,
                results=results,
                bear=self.bear_days(),
                facts={
                    "Symbols": f"{len(self.symbols)}",
                    "Bars": f"{len(self._market.ts):,}",
                    "From": f"{first:%Y-%m-%d}",
                    "To": f"{last:%Y-%m-%d}",
                    "Start": f"{self.initial_cash:,.0f}",
                    "Commission": f"{self.costs.commission_bps:g} bps",
                    "Half-spread": f"{float(self.costs.half_spread_bps):g} bps",
                    "Fills": f"{self.run().trades.height:,}",
                    "Data": self._market.digest()[:12],
                },
                title=f"Backtest of {self.trial().strategy.replace('<lambda>', 'a strategy')}",
            )
        )
        page = render(view, over="BTQuant backtest", footer=FOOTER)
        report = Report.of(self._markdown(results, judged), page)
        if path is not None:
            report.save(path)
        return report
