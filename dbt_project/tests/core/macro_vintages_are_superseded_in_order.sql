{{ config(meta={
    'description': "A vintage is superseded by the next one of its period, and each period has exactly one that is not.",
    'dagster': {'ref': {'name': 'macro_vintages'}},
}) }}
select series_id, period, count(*) as n_vintages, count(superseded_at) as n_superseded
from {{ ref('macro_vintages') }}
group by series_id, period
having
    count(*) - count(superseded_at) <> 1
    or not bool_and(coalesce(superseded_at > known_at, true))
