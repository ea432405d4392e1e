"""Who listens is told of the jobs that its token reaches, for as long as the token is in force."""

from service.credentials import Role
from service.store.happening import Happening
from tests.service.access.holders import Guarded, client, make_token, revoke, until_known
from tests.service.listening import PATH, Told, happen_to, listening


def said(told: list[Told]) -> list[Happening]:
    """Return what was told."""
    return [event.happening for event in told]


def test_a_token_of_a_prefix_is_told_of_its_jobs_alone(guarded: Guarded) -> None:
    url, server = guarded.server.database_url, guarded.server
    token = make_token(url, Role.READER, "team-")
    with client(server, token) as http:
        until_known(http)
        for query in ({"job_id": "others"}, {"prefix": "team-x", "job_id": "team"}, {"prefix": "others"}):
            assert http.get(PATH, params=query).status_code == 403
    with (
        listening(server.url, token=token) as all_of_it,
        listening(server.url, token=token, prefix="te") as te,
    ):
        place = all_of_it.last_id
        _, mine, narrow, _ = happen_to(url, "others", "team-a", "team-ab", "team")
        assert said(all_of_it.told(2)) == said(te.told(2)) == [mine, narrow]
    with listening(server.url, place, token, prefix="team-ab") as again:
        assert said(again.told(1)) == [narrow]


def test_a_token_that_is_revoked_ends_what_it_listens_to(guarded: Guarded) -> None:
    url, server = guarded.server.database_url, guarded.server
    token = make_token(url, Role.READER)
    with client(server, token) as http:
        until_known(http)
    with listening(server.url, token=token) as stream:
        happened = happen_to(url, "seen")
        assert said(stream.told(1)) == happened
        revoke(url, token)
        assert stream.rest() == []
