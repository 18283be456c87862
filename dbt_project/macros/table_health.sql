{#- One row that describes `relation`, a table as listed by watched_tables. -#}
{% macro table_health(table, relation) %}
{%- set columns = columns_watched(table, relation) %}
select
    '{{ table.layer }}.{{ table.name }}' as table_name,
    '{{ table.layer }}' as layer,
    true as present,
    n_rows,
    cast({{ columns | length }} as bigint) as n_columns,
    first_at,
    last_at,
    cast(list_sum(nulls) as bigint) as n_null_cells,
    list_sum(nulls) / nullif(cast(n_rows * {{ columns | length }} as double), 0)
        as null_fraction,
    case when list_max(nulls) > 0 then
        [{% for column in columns %}'{{ column }}'{% if not loop.last %}, {% endif %}{% endfor %}]
        [list_position(nulls, list_max(nulls))]
    end as emptiest_column,
    {%- if table.vintages %}
    vintages.n_late,
    vintages.n_corrected,
    rhythm.usual_gap
    {%- else %}
    cast(null as bigint) as n_late,
    cast(null as bigint) as n_corrected,
    cast(null as interval) as usual_gap
    {%- endif %}
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
            {%- for column in columns %}
            count(*) - count("{{ column }}") {%- if not loop.last %}, {% endif %}
            {%- endfor %}
        ] as nulls
    from {{ relation }}
)
{%- if table.vintages %}
cross join ({{ vintage_health(table, relation) }}) as vintages
cross join ({{ usual_gap(table, relation) }}) as rhythm
{%- endif %}
{% endmacro %}

{#- Columns of a table: those of its contract, or what it has where the configuration chooses them. -#}
{% macro columns_watched(table, relation) %}
{{ return(table.columns or (adapter.get_columns_in_relation(relation) | map(attribute="name") | list)) }}
{% endmacro %}

{#- Late and corrected rows of a table in vintages.

A row is late when the time it was first known was recorded, and lies more than a day and three
times the usual delay of its series after the time it is about. A later vintage of the same row is
a correction, not late. -#}
{% macro vintage_health(table, relation) %}
    select
        count(*) filter (
            where recorded and delay > interval 1 day + 3 * usual_delay
        ) as n_late,
        cast(coalesce(sum(n_vintages - 1), 0) as bigint) as n_corrected
    from (
        select
            *,
            median(delay) over (
                {%- if table.rhythm %} partition by "{{ table.rhythm }}"{% endif -%}
            ) as usual_delay
        from (
            select
                {%- for column in table.vintages %}
                "{{ column }}",
                {%- endfor %}
                {%- if table.rhythm and table.rhythm not in table.vintages %}
                any_value("{{ table.rhythm }}") as "{{ table.rhythm }}",
                {%- endif %}
                count(*) as n_vintages,
                min(known_at) - cast(min("{{ table.time_column }}") as timestamptz) as delay,
                arg_min(known_at_basis, known_at) in ('recorded', 'late') as recorded
            from {{ relation }}
            group by {% for column in table.vintages %}"{{ column }}"{% if not loop.last %}, {% endif %}{% endfor %}
        )
    )
{% endmacro %}

{#- Median time from one value of the time column to the next. -#}
{% macro usual_gap(table, relation) %}
    select median(gap) as usual_gap
    from (
        select moment - lag(moment) over (order by moment) as gap
        from (
            select distinct cast("{{ table.time_column }}" as timestamptz) as moment
            from {{ relation }}
        )
    )
{% endmacro %}

{#- Per raw bars table: sessions of its calendars its daily bars should have and lack, and where it
should reach. A series without a member has no calendar, and is not judged. -#}
{% macro bars_coverage() %}
with bars as (
    {%- for table in raw_bars_tables() %}
    select distinct source, dataset, symbol, session
    from {{ ref('stg_' ~ table) }} where freq = '1d'
    {%- if not loop.last %} union all by name {% endif %}
    {%- endfor %}
),

series as (
    select
        bars.source,
        bars.dataset,
        bars.symbol,
        calendars.calendar,
        min(bars.session) as first_session,
        max(bars.session) as last_session
    from bars
    inner join (
        select distinct source, dataset, symbol, calendar
        from {{ source('raw', 'universe_membership') }}
    ) as calendars using (source, dataset, symbol)
    group by all
),

gaps as (
    select
        series.source,
        series.dataset,
        series.symbol,
        count(*) - count(bars.session) as n_missing
    from series
    inner join {{ source('quality', 'sessions') }} as sessions
        on series.calendar = sessions.calendar
        and sessions.session between series.first_session and series.last_session
    left join bars
        on series.source = bars.source
        and series.dataset = bars.dataset
        and series.symbol = bars.symbol
        and sessions.session = bars.session
    group by all
)

select
    'raw.bars_' || source as table_name,
    cast(sum(n_missing) as bigint) as n_missing_sessions,
    case
        when max(n_missing) > 0 then arg_max(dataset || '/' || symbol, (n_missing, dataset, symbol))
    end as emptiest_series
from gaps
group by source
{% endmacro %}

{#- Last session that should be there by now, for every raw bars table with members. -#}
{% macro bars_expected() %}
select
    'raw.bars_' || membership.source as table_name,
    max(sessions.closes_at) as last_close
from {{ source('raw', 'universe_membership') }} as membership
inner join {{ source('quality', 'sessions') }} as sessions using (calendar)
where
    sessions.session >= membership.valid_from
    and sessions.session <= coalesce(membership.valid_to, date '9999-12-31')
group by all
{% endmacro %}

{#- Per table of a live stream: holes, and the time in those that were not filled. Holes of one symbol
that were noticed at once lie in one stretch of time. -#}
{% macro stream_gaps() %}
with stretches as (
    select
        stream,
        count(*) as n_gaps,
        case
            when count(*) filter (where outcome <> 'backfilled') > 0
                then epoch(ts - any_value(dark_since))
            else 0
        end as lost_seconds
    from {{ source('raw', 'stream_gaps') }}
    group by dataset, stream, symbol, ts
)

select
    'raw.' || stream || '_stream' as table_name,
    cast(sum(n_gaps) as bigint) as n_gaps,
    cast(coalesce(sum(lost_seconds), 0) as double) as lost_seconds
from stretches
group by stream
{% endmacro %}
