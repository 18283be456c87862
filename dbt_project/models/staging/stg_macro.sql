-- Every vintage of every macro source in one shape. A series that several sources carry is taken
-- whole from one of them: recorded vintages before assumed release times, a provider before the
-- packaged sample. Two sources side by side would each look like a revision of the other.
{%- set preferred = "['alfred', 'treasury', 'fred', 'cboe', 'ecb', 'sample']" %}
with every_source as (
    {{ union_tables('raw', raw_macro_tables(), 'macro_', 'source') }}
),

placed as (
    select *, coalesce(list_position({{ preferred }}, source), 99) as place
    from every_source
)

select * exclude (place)
from placed
qualify place = min(place) over (partition by series_id)
