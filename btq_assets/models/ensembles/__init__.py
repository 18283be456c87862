"""Combining forecasts: rules, weights learnt out of sample, and what members say of the spread.

Read `blending` (what a rule takes and gives), then `rules`, `evidence`, `weighting`, `stacking`,
`gating`, `distribution`. The public class is `models.ensemble.ModelEnsemble`.
"""
