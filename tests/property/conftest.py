"""Properties are held against every kernel and against its twin."""

from types import ModuleType

import pytest
from hypothesis import settings

from core.kernels import frugality as frugality_kernel
from core.kernels import odds as odds_kernel
from core.kernels import posterior as posterior_kernel
from core.kernels import stream as stream_kernel
from core.kernels import thompson as thompson_kernel
from core.kernels.twins import frugality as frugality_twin
from core.kernels.twins import odds as odds_twin
from core.kernels.twins import posterior as posterior_twin
from core.kernels.twins import stream as stream_twin
from core.kernels.twins import thompson as thompson_twin

# Exact rationals take their time, and a busy machine more of it: no example is late.
settings.register_profile("properties", deadline=None, max_examples=60)
settings.load_profile("properties")


@pytest.fixture(scope="session", params=[frugality_kernel, frugality_twin], ids=["kernel", "twin"])
def frugality(request: pytest.FixtureRequest) -> ModuleType:
    """What policy frugal decides, compiled and plain."""
    module: ModuleType = request.param
    return module


@pytest.fixture(scope="session", params=[odds_kernel, odds_twin], ids=["kernel", "twin"])
def odds(request: pytest.FixtureRequest) -> ModuleType:
    """The chances of being the best, compiled and plain."""
    module: ModuleType = request.param
    return module


@pytest.fixture(scope="session", params=[posterior_kernel, posterior_twin], ids=["kernel", "twin"])
def posterior(request: pytest.FixtureRequest) -> ModuleType:
    """The posterior fits, compiled and plain."""
    module: ModuleType = request.param
    return module


@pytest.fixture(scope="session", params=[stream_kernel, stream_twin], ids=["kernel", "twin"])
def stream(request: pytest.FixtureRequest) -> ModuleType:
    """The streams, compiled and plain."""
    module: ModuleType = request.param
    return module


@pytest.fixture(scope="session", params=[thompson_kernel, thompson_twin], ids=["kernel", "twin"])
def thompson(request: pytest.FixtureRequest) -> ModuleType:
    """Thompson sampling, compiled and plain."""
    module: ModuleType = request.param
    return module
