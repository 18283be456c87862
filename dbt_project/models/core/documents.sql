{{ config(post_hook="{{ create_documents_as_of() }}") }}
-- Documents of all sources; the label says whether the text is REAL or SYNTHETIC.
select
    doc_id,
    symbol,
    published_at,
    known_at,
    headline,
    label
from {{ ref('stg_documents') }}
order by doc_id
