{{ union_tables('raw', raw_option_quotes_tables(), 'option_quotes_', 'source') }}
