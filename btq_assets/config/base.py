"""What every group of settings is made of.

Belongs here: the frozen section, its error, and the names several sections share.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Profile = Literal["quick", "full"]
Executor = Literal["in_process", "multiprocess", "docker", "k8s", "ray"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Frequency = Literal["1m", "5m", "15m", "1h", "1d"]


class ConfigError(ValueError):
    """A setting is unknown, of the wrong type, or outside its allowed range."""


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )
