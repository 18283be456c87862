{{ union_tables('raw', raw_documents_tables(), 'documents_', 'source') }}
