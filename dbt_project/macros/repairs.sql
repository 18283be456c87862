{#- Staged bars of all sources with the applied repairs of `quality.repairs` done to them, for `from`.

Raw bars stay as they came. A repair multiplies a column over a span of bars by a factor, or leaves
it missing. `condition` chooses bars; `time` limits both bars and repairs to what was known by then:
a repair rests on bars of its own, and nobody could have made it before. -#}
{% macro repaired_bars(condition='true', time=none) %}
{%- set columns = ['open', 'high', 'low', 'close', 'adj_close', 'volume'] %}
    select
        staged.* exclude ({{ columns | join(', ') }}),
        {%- for column in columns %}
        case
            when touched.{{ column }}_gone then null
            else staged.{{ column }} * coalesce(touched.{{ column }}_factor, 1.0)
        end as {{ column }},
        {%- endfor %}
        touched.kinds as repairs
    from ({{ all_staged_bars(condition, time) }}) as staged
    left join ({{ touched_bars(condition, time) }}) as touched
        on staged.source = touched.source
        and staged.dataset = touched.dataset
        and staged.symbol = touched.symbol
        and staged.freq = touched.freq
        and staged.ts = touched.ts
        and staged.known_at = touched.known_at
{%- endmacro %}

{#- Every vintage that an applied repair changes, with what it changes: the product of the factors
of each column, and whether the column becomes missing. -#}
{% macro touched_bars(condition='true', time=none) %}
{%- set columns = ['open', 'high', 'low', 'close', 'adj_close', 'volume'] %}
    select
        bars.source,
        bars.dataset,
        bars.symbol,
        bars.freq,
        bars.ts,
        bars.known_at,
        {%- for column in columns %}
        product(repairs.factor) filter (where repairs.column_name = '{{ column }}')
            as {{ column }}_factor,
        coalesce(
            bool_or(repairs.factor is null) filter (where repairs.column_name = '{{ column }}'),
            false
        ) as {{ column }}_gone,
        {%- endfor %}
        string_agg(distinct repairs.kind, ', ' order by repairs.kind) as kinds
    from ({{ all_staged_bars(condition, time) }}) as bars
    inner join {{ source('quality', 'repairs') }} as repairs
        on bars.source = repairs.source
        and bars.dataset = repairs.dataset
        and bars.symbol = repairs.symbol
        and bars.freq = repairs.freq
        and bars.ts between repairs.from_ts and repairs.to_ts
        and repairs.applied
        {%- if time %}
        and repairs.evidence_known_at <= {{ time }}
        {%- endif %}
    group by all
{%- endmacro %}

{% macro all_staged_bars(condition='true', time=none) %}
    {%- for table in raw_bars_tables() %}
    select * from {{ ref('stg_' ~ table) }}
    where {{ condition }}{% if time %} and known_at <= {{ time }}{% endif %}
    {%- if not loop.last %} union all by name {% endif %}
    {%- endfor %}
{%- endmacro %}
