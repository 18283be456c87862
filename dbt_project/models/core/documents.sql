{{ config(post_hook="{{ create_documents_as_of() }}") }}
-- Documents of all sources, every vintage; the label says whether the text is REAL or SYNTHETIC.
select
    doc_id,
    symbol,
    published_at,
    known_at,
    headline,
    text,
    url,
    language,
    author,
    relevance,
    source,
    label
from {{ ref('stg_documents') }}
order by doc_id, symbol, known_at
