{#- What was known at a time, as table macros of the database itself: they are made with the core
tables, and a copy of the file has them too. Called from SQL:

    select * from core.bars_1d_as_of(timestamptz '2020-03-02 14:00:00+00');
-#}
{% macro create_bars_1d_as_of() %}
create or replace macro {{ this.schema }}.bars_1d_as_of(as_of) as table
{{ daily_bars('cast(as_of as timestamptz)') }}
{% endmacro %}

{% macro create_macro_as_of() %}
create or replace macro {{ this.schema }}.macro_as_of(as_of) as table
select series_id, period, known_at, value, unit, revision
from {{ ref('stg_macro') }}
where {{ known_by('cast(as_of as timestamptz)') }}
qualify row_number() over (partition by series_id, period order by known_at desc) = 1
order by series_id, period
{% endmacro %}

{% macro create_documents_as_of() %}
create or replace macro {{ this.schema }}.documents_as_of(as_of) as table
select *
from {{ this }}
where {{ known_by('cast(as_of as timestamptz)') }}
qualify row_number() over (partition by doc_id, symbol order by known_at desc) = 1
order by doc_id, symbol
{% endmacro %}
