"""The HTTP endpoint over a real loopback socket: the forecasts of the forecaster, and named refusals."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import uvicorn
from fitted_house import FEATURES, House

from btq_assets.__main__ import main
from btq_assets.api.endpoint import forecast_app
from btq_assets.contracts import models
from btq_assets.models.chosen import training_set_table
from btq_assets.models.saved import load_forecaster
from btq_assets.warehouse.paths import project_root


@contextmanager
def served(app):
    """The port of an application that answers on this machine."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


def ask(port: int, method: str, path: str, body: object = None, **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    kind = {
        "Content-Type": "application/json",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    connection.request(method, path, content, kind)
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    return answer.status, json.loads(found)


def forecaster_of(fitted: House, model: str):
    registry = fitted.warehouse.read(models.REGISTRY)
    row = registry.filter((pl.col("model") == model) & (pl.col("variant") == "base"))
    row = row.row(0, named=True)
    return load_forecaster(fitted.root / row["artifact_path"]), row


def panel_of(fitted: House, forecaster) -> pl.DataFrame:
    """The last decision with the history the model needs."""
    whole = fitted.warehouse.read(training_set_table(fitted.config))
    last = whole.filter("is_decision")["ts"].max()
    sessions = whole["ts"].unique().sort()
    first = sessions[int(sessions.search_sorted(last)) - forecaster.history_sessions]
    return (
        whole.filter(pl.col("ts").is_between(first, last))
        .with_columns(is_decision=pl.col("ts") == last)
        .select("universe", "symbol", "ts", "is_decision", "session_return", *FEATURES)
    )


def rows_of(panel: pl.DataFrame, forecaster) -> list[dict]:
    read = forecaster.provenance.feature_names
    kept = ["universe", "symbol", "ts", "is_decision", "session_return", *read]
    rows = panel.select(kept).with_columns(pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"))
    return rows.to_dicts()


@pytest.mark.parametrize("model", ["ridge", "lightgbm", "transformer_gnn"])
def test_it_answers_what_the_forecaster_says(fitted: House, model: str) -> None:
    forecaster, row = forecaster_of(fitted, model)
    panel = panel_of(fitted, forecaster)
    expected = forecaster.predict(panel)
    with served(forecast_app(forecaster, facts={"model_id": row["model_id"]})) as port:
        assert ask(port, "GET", "/health") == (200, {"status": "ok", "model": model})
        status, told = ask(port, "GET", "/model")
        assert status == 200
        assert told["model_id"] == row["model_id"]
        assert told["feature_names"] == list(forecaster.provenance.feature_names)
        assert told["code_version"] == row["code_version"]
        status, found = ask(port, "POST", "/forecast", {"rows": rows_of(panel, forecaster)})
    assert status == 200
    answered = pl.DataFrame(found["forecasts"]).sort("symbol")
    assert answered["symbol"].to_list() == expected["symbol"].to_list()
    # JSON writes floats so that they are read back to the last bit.
    assert answered["forecast"].to_list() == expected["forecast"].to_list()
    assert (answered["ts"].str.to_datetime(time_zone="UTC") == expected["ts"]).all()


def test_what_cannot_be_answered_is_refused_by_name(fitted: House) -> None:
    forecaster, _ = forecaster_of(fitted, "ridge")
    rows = rows_of(panel_of(fitted, forecaster), forecaster)
    read = forecaster.provenance.feature_names[0]

    def without(name: str) -> list[dict]:
        return [{k: v for k, v in row.items() if k != name} for row in rows]

    def with_first(**changes: object) -> dict:
        return {"rows": [rows[0] | changes, *rows[1:]]}

    cases = [
        (b"{", 400, "not_json", "no JSON"),
        (b'{"rows": [NaN]}', 400, "not_json", "null is what is missing"),
        (b"\xff\xfe", 400, "not_json", "no JSON"),
        ([], 422, "bad_rows", "at least one row"),
        ({"rows": []}, 422, "bad_rows", "at least one row"),
        ({"rows": [1]}, 422, "bad_rows", "row 0 is no object"),
        ({"rows": without(read)}, 422, "missing_features", read),
        ({"rows": without("symbol")}, 422, "bad_rows", "symbol"),
        (with_first(other=1), 422, "unknown_columns", "'other'"),
        (
            {"rows": [rows[0], {**rows[1], "sector": "x"}]},
            422,
            "bad_rows",
            "row 1 and row 0 differ",
        ),
        (with_first(ts="2020-01-01T00:00:00"), 422, "bad_rows", "with its zone"),
        (with_first(ts=5), 422, "bad_rows", "ts of row 0 is 5"),
        (with_first(**{read: "high"}), 422, "bad_rows", f"{read} of row 0 cannot be 'high'"),
        (with_first(**{read: True}), 422, "bad_rows", f"{read} of row 0 cannot be 'True'"),
        (with_first(is_decision="yes"), 422, "bad_rows", "is_decision of row 0"),
        (with_first(symbol=""), 422, "bad_rows", "symbol of row 0"),
        ({"rows": [rows[0], rows[0]]}, 422, "bad_rows", "same universe, symbol and ts"),
    ]
    with served(forecast_app(forecaster, max_bytes=50_000)) as port:
        for body, status, name, detail in cases:
            answered, found = ask(port, "POST", "/forecast", body)
            assert (answered, found["error"]) == (status, name), (body, found)
            assert detail in found["detail"], found
        assert ask(port, "POST", "/forecast", b"1" * 50_001)[0] == 413
        assert ask(port, "POST", "/forecast", b"{}", Content_Type="text/plain")[0] == 415
        assert ask(port, "GET", "/forecast")[0] == 405
        assert ask(port, "DELETE", "/model")[0] == 405
        assert ask(port, "GET", "/other")[1]["error"] == "no_such_path"
        # Missing values are null, and the server still stands after all of that.
        whole = [row | {read: None} for row in rows]
        status, found = ask(port, "POST", "/forecast", {"rows": whole})
        assert status == 200
        assert np.isfinite([one["forecast"] for one in found["forecasts"]]).all()


def test_a_body_without_end_is_cut_off(fitted: House) -> None:
    """A length nobody states: no more is read than is allowed."""
    forecaster, _ = forecaster_of(fitted, "ridge")
    with (
        served(forecast_app(forecaster, max_bytes=10_000)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as link,
    ):
        link.sendall(
            b"POST /forecast HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(12):
            link.sendall(b"400\r\n" + b"1" * 1024 + b"\r\n")
        assert b"413" in link.recv(4096).split(b"\r\n")[0]


def test_what_cannot_be_served_is_said(
    fitted: House, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, row = forecaster_of(fitted, "ridge")
    shutil.copytree(fitted.root, tmp_path / "data")
    monkeypatch.setenv("BTQ_WAREHOUSE__PATH", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--model", row["model_id"]]) == 1
    assert "`make run` makes it" in capsys.readouterr().err
    shutil.copy(tmp_path / "data/.work/btq.duckdb", tmp_path / "data/btq.duckdb")
    assert main(["serve", "--model", "unknown"]) == 1
    assert "models.registry has no model 'unknown'" in capsys.readouterr().err
    assert main(["serve", "--model", str(tmp_path)]) == 1
    assert "not the folder of a saved model" in capsys.readouterr().err
    file = tmp_path / "data" / row["artifact_path"] / "weights.safetensors"
    file.write_bytes(file.read_bytes() + b"x")
    assert main(["serve", "--model", row["model_id"]]) == 1
    assert "was altered" in capsys.readouterr().err


@pytest.mark.slow
def test_a_registered_model_is_served_by_its_id(fitted: House, tmp_path: Path) -> None:
    forecaster, row = forecaster_of(fitted, "ridge")
    shutil.copytree(fitted.root, tmp_path / "data")
    shutil.copy(tmp_path / "data/.work/btq.duckdb", tmp_path / "data/btq.duckdb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "BTQ_WAREHOUSE__PATH": str(tmp_path / "data"),
        "PYTHONPATH": str(project_root()),
    }
    command = [
        sys.executable,
        "-m",
        "btq_assets",
        "serve",
        "--model",
        row["model_id"],
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert re.match(rf"http://127\.0\.0\.1:{port}/model", process.stdout.readline())
            deadline = time.monotonic() + 30
            while True:
                try:
                    status, told = ask(port, "GET", "/model")
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            assert (status, told["model_id"]) == (200, row["model_id"])
            rows = rows_of(panel_of(fitted, forecaster), forecaster)
            assert ask(port, "POST", "/forecast", {"rows": rows})[0] == 200
        finally:
            process.terminate()
            process.wait(20)
