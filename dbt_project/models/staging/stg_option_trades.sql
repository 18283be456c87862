{{ union_tables('raw', raw_option_trades_tables(), 'option_trades_', 'source') }}
