{{ union_tables('raw', raw_trades_tables(), 'trades_', 'source') }}
