{#- Point in time by construction: each family's row at a bar holds what was known at that bar.
Features of one's own are columns their modules choose: looked up in the table as it stands. -#}
-- depends_on: {{ source('features', 'custom') }}
{{- config(contract={'enforced': not var('custom_modules')}) }}
{%- set own = source('features', 'custom') %}
{%- set own_columns = [] %}
{%- if execute and var('custom_modules') and load_relation(own) is not none %}
{%- for column in adapter.get_columns_in_relation(own) if column.name not in ('universe', 'symbol', 'ts') %}
{%- do own_columns.append(column.name) %}
{%- endfor %}
{%- endif %}
with daily as (
    select
        bars.universe,
        bars.symbol,
        '1d' as freq,
        bars.ts,
        greatest(bars.ts, bars.known_at) as known_at
        {%- for family in feature_families() %}
        {%- for column in family.columns %},
        {{ family.name }}.{{ column }}
        {%- endfor %}
        {%- endfor %}
        {%- for column in own_columns %},
        custom."{{ column }}"
        {%- endfor %}
    from {{ ref('bars_1d') }} as bars
    {%- for family in feature_families() %}
    left join {{ source('features', family.name) }} as {{ family.name }}
        on bars.universe = {{ family.name }}.universe
        and bars.ts = {{ family.name }}.ts
        {%- if not family.market_wide %}
        and bars.symbol = {{ family.name }}.symbol
        {%- endif %}
    {%- endfor %}
    {%- if own_columns %}
    left join {{ own }} as custom
        on bars.universe = custom.universe
        and bars.ts = custom.ts
        and bars.symbol = custom.symbol
    {%- endif %}
),

intraday as (
    select * from {{ source('features', 'intraday') }}
),

-- Events are placed in the bar in which they were known.
ticks as (
    select *, '{{ var("tick_bar") }}' as freq
    from {{ source('features', 'tick_microstructure') }}
),

within_a_day as (
    select
        universe,
        symbol,
        freq,
        ts,
        coalesce(intraday.known_at, ts) as known_at
        {%- for family in families_within_a_day() %}
        {%- for column in family.columns %},
        {{ {'tick_microstructure': 'ticks'}.get(family.name, family.name) }}.{{ column }}
        {%- endfor %}
        {%- endfor %}
    from intraday
    full join ticks using (universe, symbol, freq, ts)
)

select * from daily
union all by name
select * from within_a_day
