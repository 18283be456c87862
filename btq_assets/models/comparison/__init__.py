"""The fair comparison: every architecture of the catalogue, same folds, several seeds.

Order of reading: `architectures` (what is fitted), `fits` (how), `measures` and `pairs` (how it is
judged), `components` (what a part is worth), `assets`. What the forecasts earn is judged above this
room, in `backtest.comparison`.
"""
