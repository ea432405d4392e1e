"""Bytes that reach new code on the decoding path, found by atheris.

    python -m tests.fuzz.coverage --inputs 1000000

It starts from the recorded corpus; inputs that reach more than that are kept in build/fuzz, and what breaks
something beside them.
"""

import os
from pathlib import Path

import atheris
import click

from tests.fuzz.counts import Counts

with atheris.instrument_imports(include=["service.web", "core.verdict", "core.cost"]):
    from tests.fuzz.decoding import try_input

CORPUS = Path(__file__).parents[1] / "corpus"
WORDS = Path(__file__).with_name("words.dict")
LONGEST_INPUT = 4096
HANG = 5
"""Seconds that an input may take on a busy machine."""


@click.command(help=__doc__)
@click.option("--inputs", default=100_000, help="How many inputs to try.")
@click.option("--seed", default=0, help="Of the fuzzer; 0: random.")
@click.option(
    "--found", default="build/fuzz/found", type=click.Path(path_type=Path), help="A folder for what is new."
)
def main(inputs: int, seed: int, found: Path) -> None:
    """Fuzz until so many inputs were tried, or one is a finding."""
    counts = Counts("decoding path")

    def try_next(data: bytes) -> None:
        try:
            counts.note(try_input(data))
        except BaseException:
            counts.findings += 1
            click.echo(counts.line())
            raise
        if counts.inputs == inputs:
            click.echo(counts.line())
            os._exit(0)  # libFuzzer has no other way to stop from within

    found.mkdir(parents=True, exist_ok=True)
    options = {
        "max_len": LONGEST_INPUT,
        "timeout": HANG,
        "seed": seed,
        "dict": WORDS,
        "verbosity": 0,
        "artifact_prefix": f"{found}-",
    }
    words = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup(["batchbandit", *words, str(found), str(CORPUS)], try_next)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
