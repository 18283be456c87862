"""The live stream: recorded beside Dagster, committed by it.

Belongs here: the recorder (a process of its own that never opens the database), its inbox of
Parquet files, the asset and the sensor that commit what has arrived, and the replay server that
stands in for an exchange. Does not belong here: what trades mean. Read `shape.py` (what
differs from exchange to exchange), `messages.py` and `coinbase.py` (their messages), `sequence.py` (what may be missing), `inbox.py` (files), `recorder.py`, `committing.py`.
"""
