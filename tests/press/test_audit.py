"""The audit of the pinned packages says what it did not see."""

import json
import sys

import pytest

from press import audit

SEEN = {"name": "pillow", "version": "9.0", "vulns": []}
FAULTY = {**SEEN, "vulns": [{"id": "GHSA-1", "fix_versions": ["9.1", "10.0"]}]}
PASSED = {"name": "torch", "skip_reason": "not found"}


@pytest.mark.parametrize(
    "packages, status, said",
    [
        ([SEEN], 0, "1 packages looked up, 0 vulnerabilities known\n"),
        ([FAULTY], 1, "pillow 9.0: GHSA-1; mended in 9.1, 10.0\n1 packages"),
        ([SEEN, PASSED], 3, "does not answer for them: torch"),
        ([FAULTY, PASSED], 1, "does not answer for them: torch"),
        (None, 3, "nothing was audited: pip-audit broke off (no such host)"),
    ],
)
def test_what_was_not_looked_up_is_no_success(packages, status, said, tmp_path, capsys):
    program = tmp_path / "pip_audit.py"
    found = "" if packages is None else json.dumps({"dependencies": packages})
    program.write_text(f"import sys\nprint({found!r})\nprint('no such host', file=sys.stderr)\n")
    assert audit.audit([sys.executable, str(program)]) == status
    assert said in capsys.readouterr().out
