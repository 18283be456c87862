{{ union_tables('raw', raw_macro_tables(), 'macro_', 'source') }}
