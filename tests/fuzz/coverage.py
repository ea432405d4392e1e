"""Bytes that reach new code on the decoding path, found by atheris.

    python -m tests.fuzz.coverage --inputs 1000000

It starts from the recorded corpus; inputs that reach more than it are kept in a folder of their own.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

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
@click.option("--inputs", default=20_000, help="How many inputs to try.")
@click.option("--seed", default=0, help="Of the fuzzer; 0: random.")
@click.option("--found", type=click.Path(path_type=Path, file_okay=False), help="Keep what is found here.")
def main(inputs: int, seed: int, found: Path | None) -> None:
    """Fuzz until so many inputs were tried, or one is a finding, which is kept as a file."""
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

    with TemporaryDirectory(prefix="batchbandit-fuzz-") as temporary:
        kept = found or Path(temporary)
        kept.mkdir(parents=True, exist_ok=True)
        options = {"max_len": LONGEST_INPUT, "timeout": HANG, "seed": seed, "dict": WORDS, "verbosity": 0}
        words = [f"-{name}={value}" for name, value in options.items()]
        atheris.Setup(["batchbandit", *words, str(kept), str(CORPUS)], try_next)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
