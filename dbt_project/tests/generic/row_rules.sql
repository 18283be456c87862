{#- Rows that are impossible under the table's contract, with every reason. A rule that is null is
not broken. -#}
{% test row_rules(model, rules) %}
select
    concat_ws('; '
        {%- for rule in rules %},
        case when {{ rule.violated }} then '{{ rule.reason | replace("'", "''") }}' end
        {%- endfor %}
    ) as reason,
    *
from {{ model }}
where
    {%- for rule in rules %}
    coalesce({{ rule.violated }}, false) {%- if not loop.last %} or {% endif %}
    {%- endfor %}
{% endtest %}
