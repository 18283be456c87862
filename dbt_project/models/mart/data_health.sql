-- One row per table of the contracts, counted as it stands when the marts are built. A table that
-- an option switched off is absent: it has a row that says so.
{%- for table in watched_tables() %}
{%- set relation = ref(table.name) if table.is_model else source(table.layer, table.name) %}
{%- set present = execute and load_relation(relation) is not none %}
{% if not loop.first %}union all{% endif %}
{%- if present %}
{{ table_health(table, relation) }}
{%- else %}
select
    '{{ table.layer }}.{{ table.name }}' as table_name,
    '{{ table.layer }}' as layer,
    false as present,
    cast(0 as bigint) as n_rows,
    cast({{ table.columns | length }} as bigint) as n_columns,
    cast(null as timestamptz) as first_at,
    cast(null as timestamptz) as last_at,
    cast(0 as bigint) as n_null_cells,
    cast(null as double) as null_fraction,
    cast(null as varchar) as emptiest_column,
    cast(0 as bigint) as n_quarantined
{%- endif %}
{%- endfor %}
order by table_name
