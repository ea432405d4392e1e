"""A training that talks to a service which asks for tokens."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.service.talk import Api

READY_SECONDS = 60


@contextmanager
def awaited(url: str, token: str) -> Iterator[httpx.Client]:
    """Give a client with a token of a service; wait until that is ready."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready(client):
            assert time.monotonic() < deadline, f"{url} is not ready"
            time.sleep(0.1)
        yield client


def is_ready(client: httpx.Client) -> bool:
    """Tell whether a service can be asked; who only listens for it does not answer."""
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def train(client: httpx.Client) -> str:
    """Run two trainings of a new job; return its ID."""
    api = Api(client)
    job_id: str = api.register()["job_id"]
    assert [api.run(job_id)["trial_number"] for _ in range(2)] == [1, 2]
    return job_id
