-- What was current at each session close: the newest period known by then, in its latest vintage
-- known by then. A revision of an older period that arrives later must not displace a newer period,
-- so the as-of join sees only rows whose period is the newest one known at their own known_at.
with frontier as (
    select
        *,
        max(period) over (
            partition by series_id
            order by known_at
            range between unbounded preceding and current row
        ) as newest_period
    from {{ ref('macro_vintages') }}
),

current_values as (
    select series_id, period, known_at, value
    from frontier
    where period = newest_period
),

sessions as (
    select distinct ts
    from {{ ref('bars_1d') }}
    where universe = '{{ var("main_universe") }}'
),

grid as (
    select sessions.ts, series.series_id
    from sessions
    cross join (select distinct series_id from current_values) as series
)

select
    grid.ts,
    grid.series_id,
    known.period,
    known.known_at,
    known.value,
    epoch(grid.ts - known.known_at) / 86400.0 as age_days
from grid
asof join current_values as known
    on grid.series_id = known.series_id and grid.ts >= known.known_at
order by grid.ts, grid.series_id
