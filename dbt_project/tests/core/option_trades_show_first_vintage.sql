{{ config(meta={
    'description': "No raw vintage of a trade was known before the one shown, and none is missing.",
    'dagster': {'ref': {'name': 'option_trades'}},
}) }}
select staged.source, staged.contract_id, staged.trade_id, min(staged.known_at) as first_known
from {{ ref('stg_option_trades') }} as staged
left join {{ ref('option_trades') }} as shown using (source, dataset, contract_id, trade_id)
group by all
having min(staged.known_at) is distinct from min(shown.known_at)
