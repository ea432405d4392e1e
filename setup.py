"""The Cython extensions; everything else about the distribution is in pyproject.toml."""

import os
import platform
import sys
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError

NEEDS_COMPILER = """
batchbandit's kernels could not be compiled: a C compiler and Python's headers are needed.
Install them (Debian, Ubuntu: apt install build-essential python3-dev; Fedora: dnf install gcc python3-devel;
macOS: xcode-select --install) and run the same command again.
"""


class BuildKernels(build_ext):
    """Says what to install where the compiler is missing."""

    def build_extension(self, ext: Extension) -> None:
        """Compile one extension or leave with a sentence."""
        try:
            super().build_extension(ext)
        except (CompileError, PlatformError, FileNotFoundError) as error:
            sys.exit(f"{error}\n{NEEDS_COMPILER}")


# BATCHBANDIT_KERNEL_DEBUG=1 builds the kernels with bounds checks and line tracing, for tests and coverage.
debug = os.environ.get("BATCHBANDIT_KERNEL_DEBUG") == "1"
npyrandom = Path(np.get_include()).parents[1] / "random" / "lib"
RANDOM = ["npyrandom", "m"]
LIBRARIES = {"beliefs": ["m"], "frugality": RANDOM, "odds": ["m"], "recurrences": RANDOM, "thompson": RANDOM}
KERNELS = (
    "beliefs",
    "frugality",
    "odds",
    "posterior",
    "recurrences",
    "recurring_frugal",
    "recurring_grid",
    "recurring_zeus",
    "stream",
    "thompson",
)

extensions = [
    Extension(
        f"core.kernels.{name}",
        [f"core/kernels/{name}.pyx"],
        include_dirs=[np.get_include(), "core/kernels"],
        library_dirs=[str(npyrandom)],
        libraries=LIBRARIES.get(name, []),
        # Contracting a*b+c into one rounding would change the last bit of what NumPy computes.
        # Nobody reads errno, and setting it would keep square roots from being taken two at a time.
        extra_compile_args=["-O3", "-ffp-contract=off", "-fno-math-errno"]
        if platform.system() != "Windows"
        else [],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
        + ([("CYTHON_TRACE_NOGIL", "1")] if debug else []),
    )
    for name in KERNELS
]

setup(
    ext_modules=cythonize(
        extensions,
        compiler_directives={
            "language_level": 3,
            "boundscheck": debug,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
            "linetrace": debug,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
