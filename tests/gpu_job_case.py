"""A code location with a small training set and one network, for runs in processes of their own."""

from __future__ import annotations

import os
import time

import dagster as dg
from network_house import small_config, training_set_asset

from btq_assets.automation import executors, jobs
from btq_assets.models.deep.assets import forecasts_lstm, forecasts_mlp
from btq_assets.warehouse.published_asset import published_asset
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource


def definitions() -> dg.Definitions:
    """Tables below ``BTQ_CASE_ROOT``; job `train_gpu` as the house makes it."""
    config = small_config(training={"save_every_steps": 1})
    networks = [forecasts_lstm, forecasts_mlp]
    tables = [
        asset.definition(config)
        for asset in (
            training_set_asset(config),
            *(executors.with_gpu(asset, config) for asset in networks),
        )
    ]
    keys = [key for table in tables for key in table.keys]
    trained = [dg.AssetKey(list(asset.outputs[0].asset_key)) for asset in networks]
    return dg.Definitions(
        assets=[*tables, published_asset(keys)],
        jobs=[
            jobs.train_gpu_job(trained, executors.gpu_executor_for(config)),
            dg.define_asset_job("prepare", selection=dg.AssetSelection.assets(*tables[0].keys)),
        ],
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=os.environ["BTQ_CASE_ROOT"], lock_timeout_s=30),
            "device": DeviceResource(device="cpu"),
        },
        executor=dg.in_process_executor,
    )


def slowed() -> None:
    """Wait a little after each saved state, so that a test can kill in the middle."""
    from btq_assets.models.training.checkpoint_files import FileCheckpoints

    save = FileCheckpoints.save

    def slow(self, state):
        save(self, state)
        time.sleep(float(os.environ["BTQ_CASE_WAIT_S"]))

    FileCheckpoints.save = slow


if "BTQ_CASE_ROOT" in os.environ:
    if "BTQ_CASE_WAIT_S" in os.environ:
        slowed()
    defs = definitions()
