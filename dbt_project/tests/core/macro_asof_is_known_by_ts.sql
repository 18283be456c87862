{{ config(meta={
    'description': "No macro value is used before it was known.",
    'dagster': {'ref': {'name': 'macro_asof'}},
}) }}
select * from {{ ref('macro_asof') }} where known_at > ts or age_days < 0
