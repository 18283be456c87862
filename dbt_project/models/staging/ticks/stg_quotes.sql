{{ union_tables('raw', raw_quotes_tables(), 'quotes_', 'source') }}
