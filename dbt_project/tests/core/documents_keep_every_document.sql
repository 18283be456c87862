{{ config(meta={
    'description': "Every staged document is in core once, known no earlier than it was published.",
    'dagster': {'ref': {'name': 'documents'}},
}) }}
select coalesce(staged.doc_id, documents.doc_id) as doc_id
from {{ ref('stg_documents') }} as staged
full outer join {{ ref('documents') }} as documents using (doc_id, symbol, known_at)
where
    staged.doc_id is null
    or documents.doc_id is null
    or documents.known_at < documents.published_at
