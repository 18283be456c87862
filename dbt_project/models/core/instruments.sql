-- One row per instrument of a universe. Where membership has several episodes, what the newest one
-- says about source and basis is shown; the span covers all of them.
with spans as (
    select
        universe,
        symbol,
        min(ts) as first_ts,
        max(ts) as last_ts,
        count(*) as n_bars
    from {{ ref('bars_1d') }}
    group by universe, symbol
),

newest as (
    select *
    from {{ source('raw', 'universe_membership') }}
    qualify row_number() over (partition by universe, symbol order by valid_from desc) = 1
)

select
    newest.universe,
    newest.symbol,
    newest.source,
    newest.dataset,
    newest.calendar,
    newest.currency,
    newest.price_basis,
    newest.sector,
    newest.caveat,
    spans.first_ts,
    spans.last_ts,
    spans.n_bars
from newest
inner join spans using (universe, symbol)
order by universe, symbol
