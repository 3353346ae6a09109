"""`python -m tests.load.autobahn path/to/wstest`: no case may fail that plain uvicorn passes.

The suite runs on Python 2.7 alone:

    python2.7 -m pip install virtualenv==20.15.1 --target build/virtualenv
    PYTHONPATH=build/virtualenv python2.7 -m virtualenv build/autobahn
    build/autobahn/bin/pip install autobahntestsuite==0.8.2
    python -m tests.load.autobahn build/autobahn/bin/wstest
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from baton.ports import any_free
from tests.load.machine import listens, running, wait_for

PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
LEFT_OUT = ["9.*", "12.*", "13.*"]
"""Speed, and compression, which the gateway does not agree to."""


def main(
    wstest: Annotated[Path, typer.Argument(help="Autobahn's command.", exists=True)],
    out: Annotated[Path, typer.Option(help="A folder for its reports.")] = Path("build/autobahn-reports"),
) -> None:
    """Run all cases against both, and print how they ended. Exit code 1 where the gateway's protocol is worse."""
    out.mkdir(parents=True, exist_ok=True)
    results = {kind: _run(wstest, kind, out) for kind in ("plain", "baton")}
    for kind, cases in results.items():
        print(f"{kind}: {len(cases)} cases", dict(Counter(cases.values())))  # noqa: T201 (it is what was asked for)
    worse = [
        case for case, ending in results["baton"].items() if ending not in PASSED and results["plain"][case] in PASSED
    ]
    for case, ending in results["baton"].items():
        if ending != results["plain"][case]:
            print(f"{case}: plain {results['plain'][case]}, baton {ending}")  # noqa: T201
    sys.exit(bool(worse))


def _run(wstest: Path, kind: str, out: Path) -> dict[str, str]:
    port = any_free()
    log = out / f"{kind}.log"
    with running([sys.executable, "-m", "tests.load.autobahn.echo", str(port), kind], log) as process:
        wait_for(lambda: listens(port), process)
        spec = out / f"{kind}.json"
        server = {"agent": kind, "url": f"ws://127.0.0.1:{port}"}
        spec.write_text(
            json.dumps({"outdir": str(out / kind), "servers": [server], "cases": ["*"], "exclude-cases": LEFT_OUT})
        )
        with log.open("ab") as output:
            subprocess.run(
                [wstest, "-m", "fuzzingclient", "-s", spec], check=True, stdout=output, stderr=output, timeout=600
            )
    cases = json.loads((out / kind / "index.json").read_text())[kind]
    return {
        case: result["behavior"] if result["behaviorClose"] in PASSED else result["behaviorClose"]
        for case, result in cases.items()
    }


if __name__ == "__main__":
    typer.run(main)
