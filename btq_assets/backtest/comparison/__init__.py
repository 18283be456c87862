"""What the forecasts of the fair comparison earn, and the table that holds all architectures together.

Order of reading: `portfolios` (forecasts through portfolio room and engine), `judgement` (the tables),
`checks`, `assets`. Forecasts and what a component is worth are made in `models.comparison`.
"""
