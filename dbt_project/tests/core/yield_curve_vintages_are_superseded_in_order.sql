{{ config(meta={
    'description': "A curve is superseded by the next vintage of its day, and each day has exactly one that is not.",
    'dagster': {'ref': {'name': 'yield_curve'}},
}) }}
select curve, period, count(*) as n_vintages, count(superseded_at) as n_superseded
from {{ ref('yield_curve') }}
group by curve, period
having
    count(*) - count(superseded_at) <> 1
    or not bool_and(coalesce(superseded_at > known_at, true))
