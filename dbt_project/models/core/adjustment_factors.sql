-- What prices before an action are multiplied by: one row per bar that an action falls on.
with {{ adjusted_bars_ctes() }}

select
    source,
    dataset,
    symbol,
    session,
    split,
    dividend,
    close,
    close / (close * split + dividend) as factor
from factors
order by source, dataset, symbol, session
