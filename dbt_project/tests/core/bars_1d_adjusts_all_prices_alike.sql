{{ config(meta={
    'description': "Adjusted open, high and low are the raw ones times adj_close / close, and are missing where the raw ones are.",
    'dagster': {'ref': {'name': 'bars_1d'}},
}) }}
-- The raw prices of a bar obey high >= low and enclose open and close; so must the adjusted ones.
select universe, symbol, ts, open, high, low, close, adj_open, adj_high, adj_low, adj_close
from {{ ref('bars_1d') }}
where
    abs(adj_open * close - open * adj_close) > 1e-9 * open * adj_close
    or abs(adj_high * close - high * adj_close) > 1e-9 * high * adj_close
    or abs(adj_low * close - low * adj_close) > 1e-9 * low * adj_close
    or adj_high < adj_low * (1 - 1e-9)
    or (close is not null and (
        (open is null) <> (adj_open is null)
        or (high is null) <> (adj_high is null)
        or (low is null) <> (adj_low is null)
    ))
