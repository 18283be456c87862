-- What is missing, late, repaired and refused: one row per table of the contracts, counted as it
-- stands when the marts are built. A table that an option switched off is absent: it has a row that
-- says so. Lateness is judged as of quality.feeds.
with counted as (
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
    cast({{ (table.columns or []) | length }} as bigint) as n_columns,
    cast(null as timestamptz) as first_at,
    cast(null as timestamptz) as last_at,
    cast(0 as bigint) as n_null_cells,
    cast(null as double) as null_fraction,
    cast(null as varchar) as emptiest_column,
    cast(null as bigint) as n_late,
    cast(null as bigint) as n_corrected,
    cast(null as interval) as usual_gap
{%- endif %}
{%- endfor %}
),

coverage as ({{ bars_coverage() }}),

expected as ({{ bars_expected() }}),

gaps as ({{ stream_gaps() }}),

refused as (
    select table_name, count(*) as n_quarantined
    from {{ source('quarantine', 'rows') }}
    group by all
),

repaired as (
    select table_name, count(*) as n_proposed, count(*) filter (where applied) as n_applied
    from {{ source('quality', 'repairs') }}
    group by all
),

judged as (
    select
        counted.*,
        coalesce(feeds.enabled, true) as enabled,
        -- A live table with members follows their calendars, any other its own rhythm: three of
        -- its usual gaps may pass without a row. A stream has no rhythm and an hour.
        case
            when feeds.enabled and feeds.kept_up = 'live' and counted.n_rows > 0
                then coalesce(
                    expected.last_close,
                    feeds.as_of - 3 * counted.usual_gap,
                    case when counted.table_name like '%\_stream' escape '\'
                        then feeds.as_of - interval 1 hour
                    end
                )
        end as expected_last_at,
        coverage.n_missing_sessions,
        coverage.emptiest_series,
        -- A stream without a gap has none; whether one was recorded is known for streams alone.
        case
            when counted.table_name like '%\_stream' escape '\' then coalesce(gaps.n_gaps, 0)
        end as n_gaps,
        case
            when counted.table_name like '%\_stream' escape '\' then coalesce(gaps.lost_seconds, 0)
        end as lost_seconds,
        coalesce(refused.n_quarantined, 0) as n_quarantined,
        coalesce(repaired.n_proposed, 0) as n_repairs_proposed,
        coalesce(repaired.n_applied, 0) as n_repairs_applied
    from counted
    left join {{ source('quality', 'feeds') }} as feeds using (table_name)
    left join coverage using (table_name)
    left join expected using (table_name)
    left join gaps using (table_name)
    left join refused using (table_name)
    left join repaired using (table_name)
)

select
    table_name,
    layer,
    present,
    n_rows,
    n_columns,
    first_at,
    last_at,
    n_null_cells,
    null_fraction,
    emptiest_column,
    enabled,
    expected_last_at,
    n_missing_sessions,
    emptiest_series,
    n_late,
    n_corrected,
    n_gaps,
    lost_seconds,
    n_quarantined,
    n_repairs_proposed,
    n_repairs_applied,
    case
        when not enabled then 'off'
        when not present then 'absent'
        when n_rows = 0 then 'empty'
        when last_at < expected_last_at then 'behind'
        when n_missing_sessions > 0 or lost_seconds > 0 then 'holes'
        else 'ok'
    end as status
from judged
order by table_name
