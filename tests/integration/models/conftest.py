"""One small warehouse with fitted models for the tests of what is asked of them."""

from __future__ import annotations

import fitted_house
import pytest

from btq_assets.models import assets
from btq_assets.models.deep import assets as deep


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """Never written to: copy it first."""
    house = fitted_house.empty_house(tmp_path_factory.mktemp("house"))
    house.run(assets.forecasts_ridge, assets.forecasts_lightgbm, deep.forecasts_transformer_gnn)
    return house
