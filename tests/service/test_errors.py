"""Every refusal of core is one to a client."""

import pytest

from core import errors as core_errors
from service.errors import from_core


@pytest.mark.parametrize("kind", core_errors.CoreError.__subclasses__())
def test_what_core_refuses_is_the_clients_to_mend(kind: type[core_errors.CoreError]) -> None:
    refusal = from_core(kind("a sentence"))
    assert 400 <= refusal.status < 500
    assert "a sentence" in str(refusal)
