{{ config(meta={
    'description': "Each factor follows from the newest yields of its day that were known by then, found the slow way.",
    'dagster': {'ref': {'name': 'yield_curve'}},
}) }}
with newest as (
    select curves.curve, curves.period, curves.known_at, tenors.tenor, vintages.value
    from {{ ref('yield_curve') }} as curves
    inner join {{ curve_tenors() }} on curves.curve = tenors.curve
    inner join {{ ref('macro_vintages') }} as vintages
        on tenors.series_id = vintages.series_id
        and curves.period = vintages.period
        and curves.known_at >= vintages.known_at
    qualify
        row_number() over (
            partition by curves.curve, curves.period, curves.known_at, tenors.tenor
            order by vintages.known_at desc
        ) = 1
),

slow as (
    select
        curve,
        period,
        known_at,
        sum(case tenor when '10y' then value end) as level,
        sum(case tenor when '10y' then value when '3m' then -value end) as slope,
        sum(case tenor when '10y' then value when '2y' then -value end) as slope_2y,
        sum(case tenor when '2y' then 2 * value else -value end) as curvature
    from newest
    group by curve, period, known_at
    having count(*) = 3
)

select curves.*
from {{ ref('yield_curve') }} as curves
left join slow using (curve, period, known_at)
where
    slow.level is null
    or abs(curves.level - slow.level) > 1e-9
    or abs(curves.slope - slow.slope) > 1e-9
    or abs(curves.slope_2y - slow.slope_2y) > 1e-9
    or abs(curves.curvature - slow.curvature) > 1e-9
