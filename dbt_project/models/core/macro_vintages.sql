{{ config(post_hook="{{ create_macro_as_of() }}") }}
-- Every vintage of every macro series; a value is current from known_at until superseded_at.
select
    series_id,
    period,
    known_at,
    lead(known_at) over (partition by series_id, period order by known_at) as superseded_at,
    value,
    unit,
    revision
from {{ ref('stg_macro') }}
order by series_id, period, known_at
