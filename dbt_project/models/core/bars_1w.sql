-- Weekly bars (ISO weeks) from daily ones. A week is there once it has ended: the universe has a
-- session in a later week, or its last session was the last weekday of the calendar (Sunday for
-- one that never closes). A missing daily value leaves the weekly value missing.
with bars as (
    select
        bars.*,
        date_trunc('week', bars.session) as week,
        case when instruments.calendar = '24/7' then 7 else 5 end as last_weekday
    from {{ ref('bars_1d') }} as bars
    inner join {{ ref('instruments') }} as instruments using (universe, symbol)
),

spans as (
    select universe, max(session) as last_session, max(week) as last_week
    from bars
    group by universe
),

ended as (
    select bars.*
    from bars
    inner join spans using (universe)
    where bars.week < spans.last_week or isodow(spans.last_session) >= bars.last_weekday
)

select
    universe,
    symbol,
    max(ts) as ts,
    cast(max(session) as date) as session,
    max(known_at) as known_at,
    max(revised_at) as revised_at,
    first(open order by ts) as open,
    case when count(high) = count(*) then max(high) end as high,
    case when count(low) = count(*) then min(low) end as low,
    last(close order by ts) as close,
    case when count(volume) = count(*) then sum(volume) end as volume,
    first(adj_open order by ts) as adj_open,
    case when count(adj_high) = count(*) then max(adj_high) end as adj_high,
    case when count(adj_low) = count(*) then min(adj_low) end as adj_low,
    last(adj_close order by ts) as adj_close,
    count(*) as n_sessions
from ended
group by universe, symbol, week
order by universe, symbol, ts
