{{ config(meta={
    'description': "Each key has one vintage that stands, and each other ends when the next one begins.",
    'dagster': {'ref': {'name': 'dark_pool'}},
}) }}
select source, symbol, week, venue, count(*) filter (where superseded_at is null) as standing
from {{ ref('dark_pool') }}
group by source, symbol, week, venue
having
    count(*) filter (where superseded_at is null) <> 1
    or bool_or(superseded_at <= known_at)
