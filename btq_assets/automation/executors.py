"""Where steps run. The choice is made when the code location loads: `execution.executor`.

Belongs here: the executor of all jobs, that of `train_gpu`, and what a step that trains asks for.
Does not belong here: which steps those are (`jobs`). The integrations are optional and imported inside
functions.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg

from btq_assets.config import ConfigError, GpuSection, TradingConfig
from btq_assets.warehouse import TableAsset

#: Executor → (module, attribute, package, extra that installs it).
_REMOTE = {
    "docker": ("dagster_docker", "docker_executor", "dagster-docker", "docker"),
    "k8s": ("dagster_k8s", "k8s_job_executor", "dagster-k8s", "kubernetes"),
    "ray": ("dagster_ray", "ray_executor", "dagster-ray", "ray"),
}

#: Pool of the steps that train networks.
GPU_POOL = "gpu"


def executor_for(config: TradingConfig) -> dg.ExecutorDefinition:
    """Executor of every job but `train_gpu`.

    Raises
    ------
    ConfigError
        The executor's integration is not installed; the message names package and extra.
    """
    name = config.execution.executor
    if name == "in_process":
        return dg.in_process_executor
    if name == "multiprocess":
        return _multiprocess(config.execution.max_concurrent)
    return _remote(name, "execution.executor")


def gpu_executor_for(config: TradingConfig) -> dg.ExecutorDefinition:
    """Executor of the job `train_gpu`, configured by `execution.gpu`.

    Raises
    ------
    ConfigError
        The integration is not installed, or containers have no image.
    """
    settings = config.execution.gpu
    if settings.executor == "in_process":
        return dg.in_process_executor
    if settings.executor == "multiprocess":
        return _multiprocess(settings.max_concurrent)
    executor = _remote(settings.executor, "execution.gpu.executor")
    made = {"docker": _docker, "k8s": _kubernetes, "ray": _ray}[settings.executor](settings)
    return executor.configured(made)


def gpu_tags(config: TradingConfig) -> dict[str, str]:
    """Tags of a step that trains: what Kubernetes and Ray give it; other executors ignore them.

    Docker has no such tag: there all steps of `train_gpu` get the devices.
    """
    settings = config.execution.gpu
    used = {config.execution.executor, settings.executor}
    tags: dict[str, Any] = {}
    if settings.gpus_per_step and "k8s" in used:
        limits = {"nvidia.com/gpu": str(settings.gpus_per_step)}
        tags["dagster-k8s/config"] = {"container_config": {"resources": {"limits": limits}}}
    if settings.gpus_per_step and "ray" in used:
        tags["dagster-ray/config"] = {"num_gpus": settings.gpus_per_step}
    return {name: json.dumps(value) for name, value in tags.items()}


def with_gpu(asset: TableAsset, config: TradingConfig) -> TableAsset:
    """The asset with the tags of `gpu_tags`, if it trains."""
    tags = gpu_tags(config)
    if asset.pool != GPU_POOL or not tags:
        return asset
    return replace(asset, tags={**asset.tags, **tags})


def _multiprocess(max_concurrent: int) -> dg.ExecutorDefinition:
    return dg.multiprocess_executor.configured({"max_concurrent": max_concurrent})


def _remote(name: str, setting: str) -> dg.ExecutorDefinition:
    module, attribute, package, extra = _REMOTE[name]
    try:
        found: dg.ExecutorDefinition = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{setting} = {name!r} needs the package {package} "
            f"(pip install 'btquant[{extra}]'): {error}"
        ) from None
    return found


def _docker(settings: GpuSection) -> Mapping[str, Any]:
    kwargs: dict[str, Any] = {}
    if settings.gpus_per_step:
        # As `docker run --gpus N` asks the daemon for devices.
        kwargs["device_requests"] = [
            {"driver": "nvidia", "count": settings.gpus_per_step, "capabilities": [["gpu"]]}
        ]
    if settings.data_volume:
        kwargs["volumes"] = [f"{settings.data_volume}:{settings.data_mount}"]
    network = {"network": settings.network} if settings.network else {}
    return {
        "image": _image(settings),
        "env_vars": _variables(settings),
        "max_concurrent": settings.max_concurrent,
        "container_kwargs": kwargs,
        **network,
    }


def _kubernetes(settings: GpuSection) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "job_image": _image(settings),
        "env_vars": _variables(settings),
        "max_concurrent": settings.max_concurrent,
    }
    if settings.kubeconfig:
        found |= {"load_incluster_config": False, "kubeconfig_file": settings.kubeconfig}
    if settings.namespace:
        found["job_namespace"] = settings.namespace
    if settings.data_volume:
        found["volumes"] = [
            {"name": "data", "persistent_volume_claim": {"claim_name": settings.data_volume}}
        ]
        found["volume_mounts"] = [{"name": "data", "mount_path": settings.data_mount}]
    return found


def _ray(settings: GpuSection) -> Mapping[str, Any]:
    address = {"address": settings.ray_address} if settings.ray_address else {}
    return {"ray": {"env_vars": _variables(settings), **address}}


def _variables(settings: GpuSection) -> list[str]:
    """What containers are told besides: where the data folder is."""
    path = [f"BTQ_WAREHOUSE__PATH={settings.data_mount}"] if settings.data_volume else []
    return [*settings.env_vars, *path]


def _image(settings: GpuSection) -> str:
    if not settings.image:
        raise ConfigError(
            f"execution.gpu.executor = {settings.executor!r} runs each step in a container: set "
            "execution.gpu.image to an image that holds this package"
        )
    return settings.image
