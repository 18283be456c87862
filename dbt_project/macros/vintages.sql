{#- Every vintage of `relation` with the time a later one of the same `key` became known. A vintage
is current from known_at until superseded_at. -#}
{% macro superseded(key) -%}
lead(known_at) over (partition by {{ key | join(', ') }} order by known_at)
{%- endmacro %}

{#- What was current at a time, of a core table that keeps every vintage. -#}
{% macro create_vintages_as_of(name) %}
create or replace macro {{ this.schema }}.{{ name }}_as_of(as_of) as table
select * exclude (superseded_at)
from {{ this }}
where
    known_at <= cast(as_of as timestamptz)
    and (superseded_at is null or superseded_at > cast(as_of as timestamptz))
{% endmacro %}
