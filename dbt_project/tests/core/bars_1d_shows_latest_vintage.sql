{{ config(meta={
    'description': "No raw vintage of a daily bar is newer than the one shown, and none was known before its known_at.",
    'dagster': {'ref': {'name': 'bars_1d'}},
}) }}
select shown.universe, shown.symbol, shown.ts, shown.known_at, shown.revised_at, max(bars.known_at) as newest
from {{ ref('bars_1d') }} as shown
inner join {{ ref('instruments') }} as instruments using (universe, symbol)
inner join (
    {%- for table in raw_bars_tables() %}
    select source, dataset, symbol, ts, known_at, adj_close, close
    from {{ ref('stg_' ~ table) }} where freq = '1d'
    {%- if not loop.last %} union all by name {% endif %}
    {%- endfor %}
) as bars
    on bars.source = instruments.source
    and bars.dataset = instruments.dataset
    and bars.symbol = shown.symbol
    and bars.ts = shown.ts
group by all
having
    max(bars.known_at) <> coalesce(shown.revised_at, shown.known_at)
    or min(bars.known_at) <> shown.known_at
