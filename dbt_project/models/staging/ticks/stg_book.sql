{{ union_tables('raw', raw_book_tables(), 'book_', 'source') }}
