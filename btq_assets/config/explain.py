"""What is wrong with a configuration, in words a person can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def explain(
    error: ValidationError, model: type[BaseModel], flat_names: Collection[str] = ()
) -> str:
    """One line a problem: key, value, allowed range, nearest valid name."""
    lines = []
    for problem in error.errors():
        location = [str(part) for part in problem["loc"]]
        dotted = ".".join(location) or "configuration"
        if problem["type"] == "extra_forbidden":
            names = _field_names(model, location[:-1], flat_names)
            near = difflib.get_close_matches(location[-1], names, n=1, cutoff=0.5)
            hint = (
                f"; did you mean {near[0]!r}?"
                if near
                else f"; known here: {', '.join(sorted(names))}"
            )
            lines.append(f"{dotted}: unknown key{hint}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(
                f"{dotted} = {_shown(problem.get('input'))}: {message}{_range_of(model, location)}"
                if location
                else message
            )
    return "configuration is not valid:\n  " + "\n  ".join(lines)


def without_password(text: str) -> str:
    """A URL with asterisks in place of its password, whether before the host or in the query."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    # A password may hold what ends it in a proper URL; digits before the path are a port.
    rest = re.sub(r"^([^:@/?]*):(?!\d+[/?]).*@", r"\1:***@", rest)
    place, question, query = rest.partition("?")
    query = re.sub(r"(?i)(passw(?:or)?d=)[^&]*", r"\1***", query)
    return f"{scheme}://{place}{question}{query}"


def _shown(value: Any) -> str:
    return repr(without_password(value) if isinstance(value, str) else value)


def _model_at(model: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    current: Any = model
    for part in location:
        info = getattr(current, "model_fields", {}).get(part)
        if info is None:
            return None
        current = info.annotation
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _field_names(
    model: type[BaseModel], location: list[str], flat_names: Collection[str]
) -> list[str]:
    found = _model_at(model, location)
    names = list(found.model_fields) if found else []
    return names if location else [*names, *flat_names]


def _range_of(model: type[BaseModel], location: list[str]) -> str:
    parent = _model_at(model, location[:-1])
    info = parent.model_fields.get(location[-1]) if parent else None
    if info is None:
        return ""
    if choices := get_args(info.annotation):
        texts = [str(choice) for choice in choices if isinstance(choice, str)]
        return f"; allowed: {', '.join(texts)}" if texts else ""
    bounds = []
    for mark in info.metadata:
        for attribute, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
            if (bound := getattr(mark, attribute, None)) is not None:
                bounds.append(f"{sign} {bound:g}")
    return f"; allowed: {' and '.join(bounds)}" if bounds else ""
