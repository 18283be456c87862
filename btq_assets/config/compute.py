"""Where work is done and how much of it at once: nothing here changes what comes out.

Belongs here: the sections `models.training` and `execution.gpu`. Does not belong here: settings that
change a number, which are part of a model's identity (`config.networks`), and anything that acts on a
setting.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from btq_assets.config.base import Executor, Section


class TrainingSection(Section):
    """What fitting networks costs; forecasts are the same to the last bit whatever stands here."""

    workers: int = Field(
        1, ge=1, le=256, description="Processes that fit folds and seeds beside one another."
    )
    engine: Literal["processes", "ray"] = Field(
        "processes",
        description="What starts them: this machine alone, or Ray (extra `ray`), which reaches others.",
    )
    ray_address: str | None = Field(
        None, description="Cluster of Ray; null starts Ray on this machine."
    )
    prefetch: bool | None = Field(
        None,
        description="Whether a thread makes the next batch while one is trained on, in pinned memory "
        "where there is a GPU; null: on a GPU only.",
    )
    recompute_activations: bool = Field(
        False,
        description="Whether blocks of a network keep their inputs alone and are computed again for "
        "the gradient: less memory, one more forward pass.",
    )
    stream_above_mib: float = Field(
        1_024.0,
        ge=0,
        description="Panels with more features than this are trained on from a temporary file.",
    )
    resume: bool = Field(
        True, description="Whether a fit that was killed goes on where its state was last saved."
    )
    save_every_steps: int = Field(200, ge=1, description="Steps between two saved states.")
    tracker: Literal["none", "mlflow", "wandb"] = Field(
        "none",
        description="Who is told of every fit beside the registry (extras `mlflow`, `wandb`): a folder "
        "`tracking` beside the warehouse, or the server that the environment names.",
    )


class GpuSection(Section):
    """The job `train_gpu`: where its steps run, and what each asks for."""

    executor: Executor = Field("multiprocess", description="Of the job `train_gpu` alone.")
    max_concurrent: int = Field(1, ge=1, le=256, description="Its steps at once.")
    gpus_per_step: int = Field(
        1, ge=0, le=16, description="What Docker, Kubernetes or Ray give to a step that trains."
    )
    image: str = Field("", description="Image of its containers (docker, k8s).")
    network: str = Field("", description="Network of its containers (docker).")
    namespace: str = Field("", description="Namespace of its pods (k8s).")
    kubeconfig: str = Field(
        "", description="Access to the cluster (k8s); empty: the run itself is inside it."
    )
    data_volume: str = Field(
        "",
        description="What holds the data folder: a folder of the host (docker), or the claim of a "
        "volume that several nodes may write to (k8s).",
    )
    data_mount: str = Field("/data", description="Where containers see it.")
    env_vars: tuple[str, ...] = Field(
        ("DAGSTER_HOME",), description="Variables passed on, as NAME or NAME=value."
    )
    ray_address: str = Field(
        "", description="Where Ray takes jobs, as http://host:8265 (ray); empty: RAY_ADDRESS."
    )
