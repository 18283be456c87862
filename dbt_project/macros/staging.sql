{#- One raw bars table as it is, named by its source, with the session each bar belongs to.

The session is the UTC date of the instant just before the bar ended. That is the local trading
day for every exchange that closes between 00:00 and 24:00 UTC of its own date, and the day that
ended for markets that never close and whose bar ends at midnight. -#}
{% macro stage_bars(source_name) %}
select
    '{{ source_name }}' as source,
    dataset,
    symbol,
    freq,
    ts,
    cast((ts - interval 1 microsecond) at time zone 'UTC' as date) as session,
    known_at,
    known_at_basis,
    open,
    high,
    low,
    close,
    adj_close,
    volume,
    currency
from {{ source('raw', 'bars_' ~ source_name) }}
{% endmacro %}

{#- Union, by column name, of the sources `tables` of one schema; `label` names a column that holds
the table name without `prefix`. -#}
{% macro union_tables(schema, tables, prefix, label) %}
{%- for table in tables %}
select '{{ table | replace(prefix, "", 1) }}' as {{ label }}, * from {{ source(schema, table) }}
{%- if not loop.last %} union all by name {% endif %}
{%- endfor %}
{% endmacro %}
