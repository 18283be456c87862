{{ config(meta={
    'description': "A weekly bar closes at its last daily bar, counts its sessions, and spans their highs and lows.",
    'dagster': {'ref': {'name': 'bars_1w'}},
}) }}
with daily as (
    select
        universe,
        symbol,
        date_trunc('week', session) as week,
        max(ts) as ts,
        arg_max(adj_close, ts) as adj_close,
        max(adj_high) as adj_high,
        min(adj_low) as adj_low,
        max(known_at) as known_at,
        count(*) as n_sessions
    from {{ ref('bars_1d') }}
    group by all
)

select weekly.universe, weekly.symbol, weekly.ts, weekly.adj_close, daily.adj_close as daily_close
from {{ ref('bars_1w') }} as weekly
left join daily using (universe, symbol, ts)
where
    daily.ts is null
    or weekly.adj_close is distinct from daily.adj_close
    or weekly.n_sessions <> daily.n_sessions
    or weekly.known_at <> daily.known_at
    or weekly.adj_high < daily.adj_high
    or weekly.adj_low > daily.adj_low
