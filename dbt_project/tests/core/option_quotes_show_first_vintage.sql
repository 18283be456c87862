{{ config(meta={
    'description': "No raw vintage of a quote was known before the one shown, and none is missing.",
    'dagster': {'ref': {'name': 'option_quotes'}},
}) }}
select staged.source, staged.contract_id, staged.ts, min(staged.known_at) as first_known
from {{ ref('stg_option_quotes') }} as staged
left join {{ ref('option_quotes') }} as shown using (source, dataset, contract_id, ts)
group by all
having min(staged.known_at) is distinct from min(shown.known_at)
