{#- Point in time by construction: each family's row at a bar holds what was known at that bar. -#}
select
    bars.universe,
    bars.symbol,
    bars.ts,
    '1d' as freq
    {%- for family in feature_families() %}
    {%- for column in family.columns %},
    {{ family.name }}.{{ column }}
    {%- endfor %}
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
