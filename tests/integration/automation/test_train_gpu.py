"""The job `train_gpu`: each executor for real as far as a machine without cluster and card goes.

Docker, Kubernetes and Ray get the step from their own executors, in a real Dagster instance; what
receives it (the daemon, the API server, the job server) is replaced by something that notes what it
was asked for and answers that it failed.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import executor_case
import polars as pl
import pytest
from network_house import small_config, training_set_asset

from btq_assets.automation import executors
from btq_assets.automation.executors import gpu_executor_for, gpu_tags
from btq_assets.config import ConfigError, TradingConfig
from btq_assets.contracts import models
from btq_assets.definitions import build_definitions, configured_assets
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

PROJECT = Path(__file__).parents[3]


def test_the_job_is_the_forecasts_of_every_network_on_its_own_executor() -> None:
    from btq_assets.models.catalogue import DEEP

    config = TradingConfig(execution={"gpu": {"max_concurrent": 3}})
    definitions = build_definitions(config)
    job = definitions.resolve_job_def("train_gpu")
    keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert keys == {"published/btq", *(f"models/forecasts_{name}" for name in DEEP)}
    assert job.executor_def.name == "multiprocess"
    assert definitions.resolve_job_def("research").executor_def.name == "in_process"
    trained = [
        asset
        for asset in configured_assets(config)
        if asset.name in {f"models__forecasts_{name}" for name in DEEP}
    ]
    assert len(trained) == len(DEEP)
    # Without it a step would be told "cpu" whatever there is.
    assert all(asset.pool == "gpu" and asset.needs_device for asset in trained)


@pytest.mark.parametrize("name", ["docker", "k8s", "ray"])
def test_a_missing_integration_is_named_with_what_installs_it(name: str, monkeypatch) -> None:
    def absent(module: str):
        raise ModuleNotFoundError(f"No module named {module!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    extra = {"k8s": "kubernetes"}.get(name, name)
    with pytest.raises(ConfigError, match=rf"gpu\.executor = '{name}' .*btquant\[{extra}\]"):
        gpu_executor_for(TradingConfig(execution={"gpu": {"executor": name, "image": "i"}}))


@pytest.mark.parametrize("name", ["docker", "k8s"])
def test_containers_need_an_image(name: str) -> None:
    pytest.importorskip(f"dagster_{name}")
    with pytest.raises(ConfigError, match=r"set execution\.gpu\.image"):
        gpu_executor_for(TradingConfig(execution={"gpu": {"executor": name}}))


def test_tags_ask_only_where_somebody_hears_them() -> None:
    assert gpu_tags(TradingConfig()) == {}
    assert gpu_tags(TradingConfig(execution={"gpu": {"executor": "docker"}})) == {}
    none = {"executor": "k8s", "gpus_per_step": 0}
    assert gpu_tags(TradingConfig(execution={"gpu": none})) == {}
    # An executor of all jobs hears them too.
    tags = gpu_tags(TradingConfig(execution={"executor": "ray"}))
    assert json.loads(tags["dagster-ray/config"]) == {"num_gpus": 1}
    config = TradingConfig(execution={"gpu": {"executor": "k8s", "image": "i"}})
    tagged = {a.name for a in configured_assets(config) if "dagster-k8s/config" in a.tags}
    assert "models__forecasts_lstm" in tagged
    assert "models__forecasts_ridge" not in tagged


def launched(name: str) -> dg.ExecuteJobResult:
    """Run the job of an executor in a real instance; the step is refused by who receives it."""
    launcher = {
        "job_image": "registry/btquant:1",
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "dagster_home": "/home/dagster",
        "load_incluster_config": False,
        "kubeconfig_file": "kube.yaml",
    }
    # The executor of Kubernetes takes what every pod has from the launcher of runs.
    made = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher}
    overrides = {"run_launcher": made} if name == "k8s" else {}
    with dg.DagsterInstance.local_temp(overrides=overrides) as instance:
        job = dg.reconstructable(getattr(executor_case, name))
        return dg.execute_job(job, instance=instance, raise_on_error=False)


class RefusedError(RuntimeError):
    """What the replaced receiver answers."""


def test_docker_is_asked_for_devices(monkeypatch) -> None:
    """`device_requests` as `docker run --gpus 2` sends them, accepted by the client's own types."""
    pytest.importorskip("dagster_docker")
    import docker
    from docker.types import HostConfig

    asked = {}

    class Daemon:
        class containers:  # noqa: N801 - as docker's client has it
            @staticmethod
            def create(image, **kwargs):
                asked.update(kwargs, image=image)
                raise RefusedError

    monkeypatch.setattr(docker.client, "from_env", Daemon)
    assert not launched("docker").success
    assert asked["image"] == "registry/btquant:1"
    assert asked["network"] == "research"
    assert asked["volumes"] == ["warehouse:/data"]
    assert asked["environment"]["BTQ_WAREHOUSE__PATH"] == "/data"
    assert asked["environment"]["BTQ_PROFILE"] == "full"
    assert asked["command"][:3] == ["dagster", "api", "execute_step"]
    host = HostConfig(version="1.44", device_requests=asked["device_requests"])
    (request,) = host["DeviceRequests"]
    assert (request["Driver"], request["Count"]) == ("nvidia", 2)
    assert request["Capabilities"] == [["gpu"]]


def test_kubernetes_is_asked_for_gpus(monkeypatch) -> None:
    pytest.importorskip("dagster_k8s")
    import kubernetes
    from dagster_k8s.client import DagsterKubernetesClient

    asked = {}

    class Server:
        def create_namespaced_job_with_retries(self, body, namespace):
            asked.update(body=body.to_dict(), namespace=namespace)
            raise RefusedError

    monkeypatch.setattr(
        kubernetes.config,
        "load_kube_config",
        lambda config_file=None: asked.update(file=config_file),
    )
    monkeypatch.setattr(DagsterKubernetesClient, "production_client", lambda **_: Server())
    assert not launched("k8s").success
    assert (asked["namespace"], asked["file"]) == ("research", "kube.yaml")
    pod = asked["body"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert container["image"] == "registry/btquant:1"
    assert container["volume_mounts"][0]["mount_path"] == "/data"
    assert pod["volumes"][0]["persistent_volume_claim"]["claim_name"] == "warehouse"
    told = {one["name"]: one["value"] for one in container["env"]}
    assert told["BTQ_WAREHOUSE__PATH"] == "/data"


def test_ray_is_asked_for_gpus(monkeypatch) -> None:
    pytest.importorskip("dagster_ray")
    import ray.job_submission

    asked = {}

    class Jobs:
        def __init__(self, address, **_):
            asked["address"] = address

        def submit_job(self, **kwargs):
            asked.update(kwargs)
            raise RefusedError

    monkeypatch.setattr(ray.job_submission, "JobSubmissionClient", Jobs)
    assert not launched("ray").success
    assert asked["address"] == "http://head:8265"
    assert asked["entrypoint_num_gpus"] == 2
    assert asked["entrypoint"].startswith("dagster api execute_step")
    assert asked["runtime_env"]["env_vars"]["BTQ_PROFILE"] == "full"


@pytest.mark.parametrize("asked", ["cpu", "auto", "cuda", "mps"])
def test_the_device_is_the_one_asked_for_or_an_error(asked: str, monkeypatch) -> None:
    """`auto` takes a card where there is one; asking for a card that is not there is an error."""
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    if asked in ("cuda", "mps"):
        with pytest.raises(RuntimeError, match=f"trading.device is '{asked}' but torch sees no"):
            DeviceResource(device=asked).resolve()
    else:
        assert DeviceResource(device=asked).resolve() == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    if asked != "mps":
        expected = "cpu" if asked == "cpu" else "cuda"
        assert DeviceResource(device=asked).resolve() == expected


def test_a_network_is_trained_in_a_run_and_its_memory_is_in_the_books(tmp_path: Path) -> None:
    """One process, real instance and database; what the fits took is in metadata and registry."""
    from btq_assets.models.deep.assets import forecasts_mlp

    config = small_config()
    result = dg.materialize(
        [a.definition(config) for a in (training_set_asset(config), forecasts_mlp)],
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=str(tmp_path), lock_timeout_s=5),
            "device": DeviceResource(device="auto"),
        },
    )
    assert result.success
    (shown,) = result.asset_materializations_for_node("models__forecasts_mlp")
    assert shown.metadata["peak_memory_of"].value in ("process", "cuda")
    assert shown.metadata["peak_memory_mib"].value > 50
    # Two epochs each, so that no fit was stopped: a row of the curves for each epoch.
    curves = shown.metadata["training_curves"]
    assert isinstance(curves, dg.MarkdownMetadataValue), curves
    rows = [line for line in curves.value.splitlines() if line.startswith("|")]
    assert "| training_loss | validation_loss | learning_rate | gradient_norm |" in rows[0]
    assert len(rows) == 2 + config.models.mlp.epochs
    pictures = "".join(v.value for v in shown.metadata.values() if "image/png" in str(v.value))
    assert all(f"![{name}](" in pictures for name in ("Training curves", "Learning rate"))
    registry = Warehouse(DataPaths(tmp_path), 5).read(models.REGISTRY)
    assert registry.height == 4
    for row in registry.iter_rows(named=True):
        told = json.loads(row["metrics_json"])
        assert told["peak_memory_mib"] > 50
        saved = (tmp_path / row["artifact_path"] / "model.json").read_text()
        # The saved model must be the same on every machine.
        assert "peak_memory" not in saved
    assert not list((tmp_path / "checkpoints").iterdir())


def run_job(root: Path, job: str, **environment: str) -> subprocess.Popen:
    home = root / "home"
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [
            str(Path(sys.executable).with_name("dagster")),
            *("job", "execute", "-f", str(PROJECT / "tests" / "gpu_job_case.py"), "-j", job),
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PROJECT / "tests"), *sys.path]),
            "DAGSTER_HOME": str(home),
            "BTQ_CASE_ROOT": str(root / "data"),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def forecasts(root: Path, name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    warehouse = Warehouse(DataPaths(root / "data"), 5)
    registry = warehouse.read(models.REGISTRY).filter(pl.col("model") == name)
    table = warehouse.read(getattr(models, f"FORECASTS_{name.upper()}"))
    return table, registry.select("model_id", "artifact_hash").sort("model_id")


@pytest.mark.slow
def test_a_killed_run_of_train_gpu_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """SIGKILL to all processes of a run of several, in the middle of a fit; then run again."""
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    for root in (unbroken, killed):
        first = run_job(root, "prepare")
        assert first.wait(180) == 0, first.stdout.read()
    whole = run_job(unbroken, "train_gpu")
    assert whole.wait(300) == 0, whole.stdout.read()
    process = run_job(killed, "train_gpu", BTQ_CASE_WAIT_S="0.3")
    states = killed / "data" / "checkpoints"
    deadline = time.monotonic() + 180
    while len(list(states.glob("*/*"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(states.glob("*/*"))) >= 2
    again = run_job(killed, "train_gpu")
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert "fits went on from a saved state" in output, output
    for name in ("lstm", "mlp"):
        found, expected = forecasts(killed, name), forecasts(unbroken, name)
        assert found[0].equals(expected[0])
        assert found[1].equals(expected[1])
    assert not list(states.iterdir())
    assert executors.GPU_POOL == "gpu"
