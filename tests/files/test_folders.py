"""Where things lie: at the top of a checkout, or inside an installed package, which is never
written to.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from arbitration.files import code, folders
from arbitration.files.folders import ROOT

LOOK = """
import json
from arbitration.files import code, folders, shipped
found = {name: str(getattr(folders, name)) for name in ("ROOT", "DATA", "EXECUTED")}
found["output"] = str(folders.output())
found["others"] = code.find_module("others") is not None
found["own"] = str(code.find_module("arbitration.files.code"))
try:
    shipped.check_shipped("scenes")
except shipped.Damaged as error:
    found["said"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture
def site(tmp_path):
    """As pip leaves them: the files room with what a wheel carries, beside another's package."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "lib/arbitration/files", site / "arbitration/files")
    shutil.copy(ROOT / "lib/arbitration/__init__.py", site / "arbitration")
    data = site / "arbitration/_carried/data"
    (data / "scenes").mkdir(parents=True)
    (data / "scenes/entities.json").write_text("[]")
    (data / "SHA256SUMS").write_text(f"{'0' * 64}  scenes/entities.json\n")
    (site / "others.py").touch()
    return site


def test_an_installed_package_finds_what_it_carries_and_writes_where_it_is_called(site, tmp_path):
    environment = {key: one for key, one in os.environ.items() if "ARBITRATION" not in key}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(site)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    found, carried = json.loads(done.stdout), site / "arbitration" / "_carried"
    assert (found["ROOT"], found["DATA"]) == (str(carried), str(carried / "data"))
    assert (found["EXECUTED"], found["output"]) == ("book/_executed", "results")
    assert found["own"] == str(site / "arbitration/files/code.py") and not found["others"]
    assert "scenes/entities.json is not the file that ships" in found["said"]
    assert "pip install --force-reinstall" in found["said"] and "git" not in found["said"]


def test_a_checkout_has_them_at_its_top(monkeypatch):
    monkeypatch.delenv("ARBITRATION_OUTPUT", raising=False)
    assert (ROOT / "pyproject.toml").is_file() and not folders.INSTALLED
    assert folders.DATA == ROOT / "data" and folders.output() == ROOT / "results"
    packages = [
        path.name for path in folders.LIBRARIES.iterdir() if (path / "__init__.py").exists()
    ]
    assert sorted(packages) == sorted(code.PACKAGES)
