"""Jobs of any name are found by their paths; HEAD answers where GET shows."""

import httpx
import pytest

from tests.service.api.paths import JOBS, path_of
from tests.service.talk import Api

NAMES = [
    "slash/in it",
    "a/trials",
    "a/trials/1",
    "a/trials/1/decision",
    "a/export",
    "trials",
    "export",
    "/",
    "//",
    "/begins",
    "ends/",
    "100%",
    "%2F",
    "a b+c",
    "a?b=c&d",
    "a#b",
    "ünï/çødé ☃ 🗲",
    "...",
    "../up",
    "new\nline",
    '"quoted"; DROP TABLE "Job"',
    "x" * 400,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_job_of_any_name_is_shown(http: httpx.Client, api: Api, name: str) -> None:
    job_id = api.register(job_id=name, job_id_prefix="")["job_id"]
    trial = api.trial(job_id)
    assert http.get(path_of(job_id)).json()["job_id"] == name
    assert [t["job_id"] for t in http.get(path_of(job_id, "trials")).json()["trials"]] == [name]
    assert http.get(path_of(job_id, "trials", trial["trial_number"])).json()["job_id"] == name
    assert http.get(path_of(job_id, "trials", 1, "decision")).json()["job_id"] == name
    assert name in {job["job_id"] for job in http.get(JOBS, params={"prefix": name}).json()["jobs"]}
    assert http.put(path_of(job_id, "trials", 1, "heartbeat")).json()["job_id"] == name
    exported = http.get(path_of(job_id, "export"), params={"format": "jsonl"})
    assert exported.json()["job_id"] == name
    assert api.delete(job_id).status_code == 200
    assert http.get(path_of(job_id)).status_code == 404


def test_a_slash_that_is_not_encoded_counts_to_the_name_where_no_call_is_meant(
    http: httpx.Client, api: Api
) -> None:
    for name in ("plain", "plain/two", "plain/trials"):
        api.register(job_id=name, job_id_prefix="")
    assert http.get(f"{JOBS}/plain/two").json()["job_id"] == "plain/two"
    assert http.get(f"{JOBS}/plain/two/trials").json() == {"trials": [], "next": None}
    assert "trials" in http.get(f"{JOBS}/plain/trials").json()
    assert http.get(f"{JOBS}/plain%2Ftrials").json()["job_id"] == "plain/trials"


@pytest.mark.parametrize("path", [f"{JOBS}/", f"{JOBS}//trials", f"{JOBS}/%00", f"{JOBS}/{'x' * 401}"])
def test_a_name_that_no_job_can_have_is_refused(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 422


def test_head_answers_as_get_does_without_a_body(http: httpx.Client, api: Api) -> None:
    job_id = api.register()["job_id"]
    api.trial(job_id)
    paths = [
        JOBS,
        *(path_of(job_id, *rest) for rest in ((), ("trials",), ("trials", 1), ("trials", 1, "decision"))),
        f"{JOBS}?limit=0",
        path_of("nobody's"),
    ]
    for path in paths:
        shown, headed = http.get(path), http.head(path)
        assert (headed.status_code, headed.content) == (shown.status_code, b"")
        for name in ("content-length", "content-type", "cache-control", "content-security-policy"):
            assert headed.headers[name] == shown.headers[name]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_shows_changes_nothing(http: httpx.Client, method: str) -> None:
    assert http.request(method, JOBS).status_code == 405
    allowed = http.request(method, path_of("x", "trials", 1)).headers["allow"]
    assert allowed == "GET, HEAD"
