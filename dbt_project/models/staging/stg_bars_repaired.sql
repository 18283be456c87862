-- Every bar that an applied repair changes: as it came, and as core shows it. Empty unless
-- sources.repairs.apply names a kind of repair.
select
    touched.source,
    touched.dataset,
    touched.symbol,
    touched.freq,
    touched.ts,
    touched.known_at,
    touched.kinds as repairs,
    came.open as raw_open,
    came.high as raw_high,
    came.low as raw_low,
    came.close as raw_close,
    came.adj_close as raw_adj_close,
    came.volume as raw_volume,
    repaired.open,
    repaired.high,
    repaired.low,
    repaired.close,
    repaired.adj_close,
    repaired.volume
from ({{ touched_bars() }}) as touched
inner join ({{ all_staged_bars() }}) as came using (source, dataset, symbol, freq, ts, known_at)
inner join ({{ repaired_bars() }}) as repaired
    using (source, dataset, symbol, freq, ts, known_at)
