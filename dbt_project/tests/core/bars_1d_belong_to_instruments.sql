{{ config(meta={
    'description': "Every daily bar belongs to an instrument, and the instrument's span and count are those of its bars.",
    'dagster': {'ref': {'name': 'bars_1d'}},
}) }}
select universe, symbol, bars.n_bars, instruments.n_bars as n_stated
from (
    select universe, symbol, count(*) as n_bars, min(ts) as first_ts, max(ts) as last_ts
    from {{ ref('bars_1d') }}
    group by universe, symbol
) as bars
full outer join {{ ref('instruments') }} as instruments using (universe, symbol)
where
    bars.n_bars is distinct from instruments.n_bars
    or bars.first_ts is distinct from instruments.first_ts
    or bars.last_ts is distinct from instruments.last_ts
