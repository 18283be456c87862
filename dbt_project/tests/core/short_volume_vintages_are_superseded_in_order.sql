{{ config(meta={
    'description': "Each key has one vintage that stands, and each other ends when the next one begins.",
    'dagster': {'ref': {'name': 'short_volume'}},
}) }}
select source, symbol, session, count(*) filter (where superseded_at is null) as standing
from {{ ref('short_volume') }}
group by source, symbol, session
having
    count(*) filter (where superseded_at is null) <> 1
    or bool_or(superseded_at <= known_at)
