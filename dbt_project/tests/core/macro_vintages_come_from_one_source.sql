{{ config(meta={
    'description': "Every series of every source is there, and all its vintages are of one source.",
    'dagster': {'ref': {'name': 'macro_vintages'}},
}) }}
with raw_counts as (
    select source, series_id, count(*) as n_rows
    from ({{ union_tables('raw', raw_macro_tables(), 'macro_', 'source') }})
    group by source, series_id
),

core_counts as (
    select series_id, count(*) as n_rows from {{ ref('macro_vintages') }} group by series_id
)

select raw_counts.series_id
from raw_counts
left join core_counts using (series_id)
group by raw_counts.series_id, core_counts.n_rows
having not coalesce(bool_or(raw_counts.n_rows = core_counts.n_rows), false)
