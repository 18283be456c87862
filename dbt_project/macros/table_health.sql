{#- One row that describes `relation`, a table as listed by watched_tables. -#}
{% macro table_health(table, relation) %}
select
    '{{ table.layer }}.{{ table.name }}' as table_name,
    '{{ table.layer }}' as layer,
    true as present,
    n_rows,
    cast({{ table.columns | length }} as bigint) as n_columns,
    first_at,
    last_at,
    cast(list_sum(nulls) as bigint) as n_null_cells,
    list_sum(nulls) / nullif(cast(n_rows * {{ table.columns | length }} as double), 0)
        as null_fraction,
    case when list_max(nulls) > 0 then
        [{% for column in table.columns %}'{{ column }}'{% if not loop.last %}, {% endif %}{% endfor %}]
        [list_position(nulls, list_max(nulls))]
    end as emptiest_column,
    (
        select count(*) from {{ source('quarantine', 'rows') }}
        where table_name = '{{ table.layer }}.{{ table.name }}'
    ) as n_quarantined
from (
    select
        count(*) as n_rows,
        {%- if table.time_column %}
        cast(min("{{ table.time_column }}") as timestamptz) as first_at,
        cast(max("{{ table.time_column }}") as timestamptz) as last_at,
        {%- else %}
        cast(null as timestamptz) as first_at,
        cast(null as timestamptz) as last_at,
        {%- endif %}
        [
            {%- for column in table.columns %}
            count(*) - count("{{ column }}") {%- if not loop.last %}, {% endif %}
            {%- endfor %}
        ] as nulls
    from {{ relation }}
)
{% endmacro %}
