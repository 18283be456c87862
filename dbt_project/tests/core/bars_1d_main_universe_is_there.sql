{{ config(meta={
    'description': "The universe the strategies trade has bars.",
    'dagster': {'ref': {'name': 'bars_1d'}},
}) }}
select '{{ var("main_universe") }}' as universe
where not exists (
    select 1 from {{ ref('bars_1d') }} where universe = '{{ var("main_universe") }}'
)
