{#- Which series are which tenor of which curve. -#}
{% macro curve_tenors() %}
(values
    ('BC_3MONTH', 'treasury', '3m'),
    ('BC_2YEAR', 'treasury', '2y'),
    ('BC_10YEAR', 'treasury', '10y'),
    ('DGS3MO', 'h15', '3m'),
    ('DGS2', 'h15', '2y'),
    ('DGS10', 'h15', '10y')
) as tenors (series_id, curve, tenor)
{% endmacro %}

{#- What the curves were known to be at a time, as a table macro of the database itself:

    select * from core.yield_curve_as_of(timestamptz '2020-03-02 22:00:00+00');
-#}
{% macro create_yield_curve_as_of() %}
create or replace macro {{ this.schema }}.yield_curve_as_of(as_of) as table
select * exclude (superseded_at)
from {{ this }}
where
    known_at <= cast(as_of as timestamptz)
    and (superseded_at is null or superseded_at > cast(as_of as timestamptz))
order by curve, period
{% endmacro %}
