{{ stage_bars('binance') }}
