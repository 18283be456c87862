"""Where steps run. The choice is made when the code location loads: `execution.executor`."""

from __future__ import annotations

import importlib

import dagster as dg

from btq_assets.config import ConfigError, TradingConfig

#: Executor → (module, attribute, package to install).
_REMOTE = {
    "docker": ("dagster_docker", "docker_executor", "dagster-docker"),
    "k8s": ("dagster_k8s", "k8s_job_executor", "dagster-k8s"),
    "ray": ("dagster_ray", "ray_executor", "dagster-ray"),
}

#: Step tags of GPU work, understood by the executor that knows them and ignored by the others.
GPU_TAGS = {
    "dagster-k8s/config": '{"container_config": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}',
    "dagster-ray/config": '{"num_gpus": 1}',
}


def executor_for(config: TradingConfig) -> dg.ExecutorDefinition:
    """Executor of every job.

    Raises
    ------
    ConfigError
        The executor's integration is not installed; the message names the package.
    """
    name = config.execution.executor
    if name == "in_process":
        return dg.in_process_executor
    if name == "multiprocess":
        return dg.multiprocess_executor.configured(
            {"max_concurrent": config.execution.max_concurrent}
        )
    module, attribute, package = _REMOTE[name]
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"execution.executor = {name!r} needs the package {package} (pip install 'btquant[cluster]'): {error}"
        ) from None
