"""Search of hyper-parameters with Optuna, judged on folds nested before the test segment.

Read `space` (what is tried), `nested` (on what it is judged), `candidates` (one trial), `study` (all
of them). Optuna is in the extra ``search`` and imported inside functions.
"""
