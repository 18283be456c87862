"""One step that asks for a GPU, as a job for each executor of `train_gpu`."""

from __future__ import annotations

import dagster as dg

from btq_assets.automation.executors import GPU_POOL, gpu_executor_for, gpu_tags
from btq_assets.config import TradingConfig

SETTINGS = {
    "image": "registry/btquant:1",
    "network": "research",
    "namespace": "research",
    "kubeconfig": "kube.yaml",
    "data_volume": "warehouse",
    "env_vars": ["BTQ_PROFILE=full"],
    "gpus_per_step": 2,
    "ray_address": "http://head:8265",
}


def config_of(executor: str) -> TradingConfig:
    return TradingConfig(execution={"gpu": {**SETTINGS, "executor": executor}})


def _job(executor: str) -> dg.JobDefinition:
    config = config_of(executor)

    @dg.op(name="train", tags=gpu_tags(config), pool=GPU_POOL)
    def train() -> None:
        raise AssertionError("the step was run in this process")

    @dg.job(name=f"train_on_{executor}", executor_def=gpu_executor_for(config))
    def made() -> None:
        train()

    return made


def docker() -> dg.JobDefinition:
    return _job("docker")


def k8s() -> dg.JobDefinition:
    return _job("k8s")


def ray() -> dg.JobDefinition:
    return _job("ray")
