-- Bars shorter than a day: the latest vintage of each, while its instrument was a member. What is made
-- of them (core.bars_1m to core.bars_1h) is made outside dbt, where it is a hundred times faster.
with bars as (
    {{ repaired_bars("freq <> '1d'") }}
),

latest as (
    select
        * exclude (known_at),
        {{ first_known() }} as known_at,
        nullif(known_at, {{ first_known() }}) as revised_at
    from bars
    window vintages as (partition by source, dataset, symbol, freq, ts)
    qualify
        row_number() over (
            partition by source, dataset, symbol, freq, ts order by bars.known_at desc
        ) = 1
)

select
    membership.universe,
    latest.symbol,
    latest.freq,
    latest.ts,
    latest.known_at,
    latest.revised_at,
    latest.open,
    latest.high,
    latest.low,
    coalesce(latest.close, latest.adj_close) as close,
    latest.volume,
    membership.calendar
from latest
inner join {{ source('raw', 'universe_membership') }} as membership
    on latest.source = membership.source
    and latest.dataset = membership.dataset
    and latest.symbol = membership.symbol
    and latest.session >= membership.valid_from
    and latest.session <= coalesce(membership.valid_to, date '9999-12-31')
order by universe, symbol, freq, ts
