-- Daily bars of every universe: the latest vintage of each bar, while its instrument was a member.
-- The row carries the known_at of the vintage it shows; a view of the vintages as of an earlier
-- time is not built yet. Nothing is filled: a session without a bar has no row.
with bars as (
    {%- for table in raw_bars_tables() %}
    select * from {{ ref('stg_' ~ table) }} where freq = '1d'
    {%- if not loop.last %} union all by name {% endif %}
    {%- endfor %}
),

latest as (
    select *
    from bars
    qualify
        row_number() over (partition by source, dataset, symbol, ts order by known_at desc) = 1
),

members as (
    select
        membership.universe,
        bars.symbol,
        bars.ts,
        bars.session,
        bars.known_at,
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        bars.volume,
        -- A reference rate or an index level has no splits or dividends to adjust for, and a member
        -- declared unadjusted is taken as it is. Any other bar without an adjusted close has no
        -- price that returns may be computed from, and is left out.
        case
            when membership.price_basis in ('reference_rate', 'price_index', 'unadjusted')
                then coalesce(bars.adj_close, bars.close)
            else bars.adj_close
        end as adj_close
    from latest as bars
    inner join {{ source('raw', 'universe_membership') }} as membership
        on bars.source = membership.source
        and bars.dataset = membership.dataset
        and bars.symbol = membership.symbol
        and bars.session >= membership.valid_from
        and bars.session <= coalesce(membership.valid_to, date '9999-12-31')
)

select
    universe,
    symbol,
    ts,
    session,
    known_at,
    open,
    high,
    low,
    close,
    volume,
    open * adj_close / close as adj_open,
    high * adj_close / close as adj_high,
    low * adj_close / close as adj_low,
    adj_close
from members
where adj_close is not null
order by universe, symbol, ts
