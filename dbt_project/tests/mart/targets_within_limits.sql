{{ config(meta={
    'description': "No weight exceeds the largest position, and no decision the largest gross exposure.",
    'dagster': {'ref': {'name': 'targets'}},
}) }}
select strategy, universe, ts, max(abs(weight)) as largest, sum(abs(weight)) as gross
from {{ ref('targets') }}
group by strategy, universe, ts
having
    max(abs(weight)) > {{ var('max_position_size') }} + 1e-9
    or sum(abs(weight)) > {{ var('max_gross_exposure') }} + 1e-9
