"""Whether a known vulnerability touches the pinned packages, according to pip-audit.

    python -m press.audit path/to/pip-audit

Where its database cannot be reached, pip-audit passes every package by and ends with success; here
that is said, and is no success.
"""

import json
import subprocess
import sys
from collections.abc import Sequence

from arbitration.files.folders import ROOT

UNREACHED = 3


def audit(command: Sequence[str]) -> int:
    """Audit ``constraints.txt``, say what was found, and return the exit status: 0 if every package
    was looked up and none is known to be vulnerable, 1 if one is, `UNREACHED` if any was not.

    Parameters
    ----------
    command : sequence of str
        What starts pip-audit.
    """
    options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json"]
    pins = str(ROOT / "constraints.txt")
    done = subprocess.run([*command, "-r", pins, *options], capture_output=True, encoding="utf-8")
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"nothing was audited: pip-audit broke off ({last}); is its database in reach?")
        return UNREACHED
    passed = [one for one in packages if "skip_reason" in one]
    found = [(one, fault) for one in packages for fault in one.get("vulns", [])]
    for one, fault in found:
        mended = ", ".join(fault["fix_versions"]) or "no version yet"
        print(f"{one['name']} {one['version']}: {fault['id']}; mended in {mended}")
    print(f"{len(packages) - len(passed)} packages looked up, {len(found)} vulnerabilities known")
    if passed:
        names = ", ".join(one["name"] for one in passed[:5])
        more = f" and {len(passed) - 5} more" if len(passed) > 5 else ""
        print(f"not audited, because the database does not answer for them: {names}{more}")
    return 1 if found else UNREACHED if passed else 0


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1:]))
