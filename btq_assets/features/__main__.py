"""Print the feature reference: ``python -m btq_assets.features > docs/features.md``."""

from __future__ import annotations

from btq_assets.features.reference import markdown

if __name__ == "__main__":
    print(markdown(), end="")
