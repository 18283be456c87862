{{ config(post_hook="{{ create_yield_curve_as_of() }}") }}
-- Level, slope and curvature of each day's curve in the definition of Diebold and Li (2006): the
-- yield at ten years; ten years minus three months; twice two years minus three months minus ten
-- years. A day has a row from the moment the last of its three yields is known, and a further row
-- when one of them is revised.
with yields as (
    select
        tenors.curve,
        tenors.tenor,
        vintages.period,
        vintages.known_at,
        vintages.superseded_at,
        vintages.value
    from {{ ref('macro_vintages') }} as vintages
    inner join {{ curve_tenors() }} on vintages.series_id = tenors.series_id
),

moments as (
    select distinct curve, period, known_at from yields
),

curves as (
    select
        moments.curve,
        moments.period,
        moments.known_at,
        max(yields.value) filter (yields.tenor = '3m') as yield_3m,
        max(yields.value) filter (yields.tenor = '2y') as yield_2y,
        max(yields.value) filter (yields.tenor = '10y') as yield_10y
    from moments
    inner join yields
        on moments.curve = yields.curve
        and moments.period = yields.period
        and moments.known_at >= yields.known_at
        and (yields.superseded_at is null or yields.superseded_at > moments.known_at)
    group by moments.curve, moments.period, moments.known_at
)

select
    curve,
    period,
    known_at,
    lead(known_at) over (partition by curve, period order by known_at) as superseded_at,
    yield_3m,
    yield_2y,
    yield_10y,
    yield_10y as level,
    yield_10y - yield_3m as slope,
    yield_10y - yield_2y as slope_2y,
    2 * yield_2y - yield_3m - yield_10y as curvature
from curves
where yield_3m is not null and yield_2y is not null and yield_10y is not null
order by curve, period, known_at
