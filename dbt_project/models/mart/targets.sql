-- Target weights of every strategy in one table.
select *
from ({{ union_tables('portfolio', portfolio_targets_tables(), 'targets_', 'family') }})
order by strategy, universe, symbol, ts
