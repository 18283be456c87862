-- Splits and dividends of every source, the latest vintage of each.
{{ latest_actions() }}
order by source, dataset, symbol, ex_date, kind
