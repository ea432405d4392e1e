"""All inputs that are made by machine, one tool after the other: python -m tests.fuzz --inputs 100000."""

import os
import subprocess
import sys
from importlib.util import find_spec

import click

from tests.skips import REQUIRE_ALL

TOOLS = {
    "tests.fuzz.coverage": "atheris",
    "tests.fuzz.calls": "schemathesis",
    "tests.fuzz.sequences": "hypothesis",
}
"""Each tool's module and what it cannot do without."""


@click.command(help=__doc__)
@click.option("--inputs", type=int, help="For each tool; each has a short form without.")
def main(inputs: int | None) -> None:
    """Run the tools, all of them, and fail where one has a finding, or is missing and all are required."""
    options = [] if inputs is None else ["--inputs", str(inputs)]
    codes = []
    for module, needed in TOOLS.items():
        if find_spec(needed) is None:
            click.echo(f"{module}: not run, since there is no {needed} for this Python and machine")
            codes.append(int(REQUIRE_ALL in os.environ))
            continue
        codes.append(subprocess.run([sys.executable, "-m", module, *options], check=False).returncode)
    raise SystemExit(any(codes))


if __name__ == "__main__":
    main()
