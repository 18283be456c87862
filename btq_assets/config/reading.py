"""Files and environment as nested settings, and how one is laid over another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from btq_assets.config.base import ConfigError

ENV_PREFIX = "BTQ_"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested mapping `over` on `base`; sections given as models are taken as they are."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def read_yaml(file: Path) -> dict[str, Any]:
    """Sections of a YAML file; an empty file has none."""
    import yaml

    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file} must hold sections such as `trading:`, found {type(content).__name__}"
        )
    return content


_SHORT_FORMS = {"BTQ_PROFILE": "profile", "BTQ_EXECUTOR": "execution.executor"}
_NOT_SETTINGS = {"BTQ_CONFIG", "BTQ_WAREHOUSE_FILE"}


def environment_settings(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Dotted setting and value of each ``BTQ_`` variable, by name."""
    import yaml

    for name, text in sorted(environment.items()):
        if not name.startswith(ENV_PREFIX) or name in _NOT_SETTINGS:
            continue
        dotted = _SHORT_FORMS.get(name) or name[len(ENV_PREFIX) :].lower().replace("__", ".")
        yield dotted, yaml.safe_load(text)


def nest(dotted: str, value: Any) -> dict[str, Any]:
    """``a.b`` and a value as ``{"a": {"b": value}}``."""
    nested: Any = value
    for part in reversed(dotted.split(".")):
        nested = {part: nested}
    return nested
