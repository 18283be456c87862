"""A small HTTP endpoint over one fitted model: what it is, and what it forecasts.

Belongs here: requests into panels, forecasts into answers, and the errors in between. Does not belong
here: finding and loading the model (`python -m btq_assets serve`). Starlette and uvicorn come with
Dagster's webserver and are imported inside functions. Nothing here writes, and the address is the
machine's own unless another is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

    from btq_assets.models.forecaster import Forecaster

#: Largest body of a request.
MAX_BYTES = 8 << 20

#: Columns every row has, and those it may have beside the features.
_REQUIRED = ("symbol", "ts")
_OPTIONAL = ("universe", "is_decision", "session_return", "sector")


class RequestError(ValueError):
    """A request that cannot be answered: its status, the name of the error, and what is wrong."""

    def __init__(self, status: int, name: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail = status, name, detail


def forecast_app(
    forecaster: Forecaster, *, facts: Mapping[str, Any] | None = None, max_bytes: int = MAX_BYTES
) -> Starlette:
    """An ASGI application over a fitted model.

    ``GET /health`` says that it is up, ``GET /model`` where the model comes from, ``POST /forecast``
    forecasts ``{"rows": [{"symbol": …, "ts": …, feature: …}, …]}``: a row per asset and session, times
    with their zone, features as numbers or null. Rows marked ``is_decision: false`` are history; a
    network reads `history_sessions` of them and ``session_return``. Errors are
    ``{"error": name, "detail": text}``: 400 ``not_json``, 405, 413 ``too_large``, 415 ``not_json``,
    422 ``bad_rows``, ``missing_features``, ``unknown_columns``, ``cannot_forecast``.

    Parameters
    ----------
    forecaster
        Fitted.
    facts
        Said by ``/model`` beside the provenance, such as the id in the registry.
    max_bytes
        Largest body accepted.
    """
    from anyio import CapacityLimiter, to_thread
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    provenance = forecaster.provenance
    described = {
        **asdict(provenance),
        "feature_names": list(provenance.feature_names),
        "feature_hash": provenance.feature_hash,
        "history_sessions": forecaster.history_sessions,
        "spec": asdict(forecaster.spec),
        **(facts or {}),
    }
    # One at a time: torch's seeds and threads belong to the process.
    one_at_a_time = CapacityLimiter(1)

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "model": provenance.model})

    async def model(_: Request) -> JSONResponse:
        return JSONResponse(json.loads(json.dumps(described, default=str)))

    async def forecast(request: Request) -> JSONResponse:
        body = await _body(request, max_bytes)
        found = await to_thread.run_sync(answer, forecaster, body, limiter=one_at_a_time)
        return JSONResponse(found)

    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestError)
        return JSONResponse({"error": error.name, "detail": error.detail}, error.status)

    async def no_such(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        name = {404: "no_such_path", 405: "no_such_method"}.get(error.status_code, "refused")
        return JSONResponse(
            {"error": name, "detail": str(error.detail)}, error.status_code, headers=error.headers
        )

    return Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/model", model, methods=["GET"]),
            Route("/forecast", forecast, methods=["POST"]),
        ],
        exception_handlers={RequestError: refused, HTTPException: no_such},
    )


def answer(forecaster: Forecaster, body: bytes) -> dict[str, Any]:
    """Forecasts of the decision rows of a request's body.

    Raises
    ------
    RequestError
        The body is no JSON of that shape, lacks a feature, or the model cannot forecast it.
    """
    from btq_assets.models.forecaster import MissingFeatureError, ModelError

    panel = panel_of(forecaster, body)
    try:
        found = forecaster.predict(panel)
    except MissingFeatureError as error:
        raise RequestError(422, "missing_features", str(error)) from error
    except ModelError as error:
        raise RequestError(422, "cannot_forecast", str(error)) from error
    rows = found.with_columns(pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"))
    return {
        "model": forecaster.provenance.model,
        "forecasts": [
            {**row, "forecast": row["forecast"] if row["forecast"] == row["forecast"] else None}
            for row in rows.iter_rows(named=True)
        ],
    }


def panel_of(forecaster: Forecaster, body: bytes) -> pl.DataFrame:
    """The rows of a request as a panel for `Forecaster.predict`; raises `RequestError`."""
    try:
        # NaN and Infinity are no JSON, though Python's reader takes them.
        content = json.loads(body, parse_constant=_no_number)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RequestError(400, "not_json", f"the body is no JSON: {error}") from error
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows:
        raise RequestError(422, "bad_rows", 'the body is {"rows": […]} with at least one row')
    features = forecaster.provenance.feature_names
    known = {*_REQUIRED, *_OPTIONAL, *features}
    columns: dict[str, list[Any]] = {}
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise RequestError(422, "bad_rows", f"row {place} is no object")
        if unknown := sorted(set(row) - known):
            raise RequestError(
                422,
                "unknown_columns",
                f"row {place} has {unknown[:5]}, which {forecaster.provenance.model} does not read",
            )
        if place == 0:
            columns = {name: [] for name in row}
        if set(row) != set(columns):
            other = sorted(set(row) ^ set(columns))
            raise RequestError(
                422, "bad_rows", f"row {place} and row 0 differ in columns: {other[:5]}"
            )
        for name, value in row.items():
            columns[name].append(_checked(name, value, place))
    if absent := [name for name in _REQUIRED if name not in columns]:
        raise RequestError(422, "bad_rows", f"rows lack {absent}")
    if absent := [name for name in features if name not in columns]:
        raise RequestError(422, "missing_features", f"rows lack the features {absent}")
    columns.setdefault("universe", ["request"] * len(rows))
    columns.setdefault("is_decision", [True] * len(rows))
    panel = pl.DataFrame(
        {
            name: pl.Series(values, dtype=_DTYPES.get(name, pl.Float64))
            for name, values in columns.items()
        }
    )
    key = ["universe", "symbol", "ts"]
    if panel.select(key).is_duplicated().any():
        raise RequestError(422, "bad_rows", "two rows are of the same universe, symbol and ts")
    return panel.sort(key)


_DTYPES: dict[str, Any] = {
    "universe": pl.String,
    "symbol": pl.String,
    "sector": pl.String,
    "ts": pl.Datetime("us", "UTC"),
    "is_decision": pl.Boolean,
}


def _checked(name: str, value: Any, place: int) -> Any:
    """A value of the type its column has; raises `RequestError`."""
    if name == "ts":
        try:
            stamp = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            stamp = None
        if stamp is None or stamp.tzinfo is None:
            raise RequestError(
                422,
                "bad_rows",
                f"ts of row {place} is {value!r}; an ISO 8601 time with its zone is",
            )
        return stamp
    if name in ("universe", "symbol"):
        right = isinstance(value, str) and bool(value)
    elif name == "sector":
        right = value is None or isinstance(value, str)
    elif name == "is_decision":
        right = isinstance(value, bool)
    else:
        right = value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
        if right and value is not None:
            try:
                value = float(value)
            except OverflowError:
                right = False
            else:
                right = abs(value) != float("inf")
    if not right:
        raise RequestError(422, "bad_rows", f"{name} of row {place} cannot be {str(value)[:40]!r}")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON; null is what is missing")


async def _body(request: Request, max_bytes: int) -> bytes:
    """The body, no more of it read than is allowed."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "not_json", f"content-type is {kind!r}, application/json is read")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise RequestError(413, "too_large", f"more than {max_bytes:,} bytes")
        parts.append(part)
    return b"".join(parts)


def serve(app: Starlette, *, host: str, port: int) -> None:
    """Answer requests until the process is told to stop."""
    import uvicorn

    uvicorn.run(app, host=host, port=port, log_level="warning")
