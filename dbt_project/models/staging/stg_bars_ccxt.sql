{{ stage_bars('ccxt') }}
