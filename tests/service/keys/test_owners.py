"""Jobs belong to whoever ordered them."""

import pytest
from keyholders import bearer

from skipseg.service.jobs.database import open_database
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.records import Job

ID = "a" * 32


@pytest.fixture
def headers(guarded) -> dict[str, dict[str, str]]:
    """Two users and an administrator; one job, of the first."""
    found = {}
    for name, scopes in (
        ("mine", ("read", "segment", "train")),
        ("theirs", ("read", "segment")),
        ("admin", ("admin",)),
    ):
        key, token = guarded.store.create("", scopes, days=1)
        found[name] = bearer(token)
        if name == "mine":
            owner = key.caller.id
    order = '{"model": "small@1"}'
    job = Job(id=ID, kind="segment", order=order, owner=owner, total=0, priority=10, made=1.0, started=1.5, ended=2.0)
    Ledger(open_database(f"sqlite:///{guarded.data / 'jobs.sqlite'}")).add(job, lambda connection: None)
    return found


def test_jobs_are_listed_to_who_ordered_them_and_to_administrators(guarded, headers) -> None:
    listed = {
        who: [job["id"] for job in guarded.client.get("/v1/jobs", headers=header).json()["jobs"]]
        for who, header in headers.items()
    }
    assert listed == {"mine": [ID], "theirs": [], "admin": [ID]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/items"),
        ("GET", "/items/0/mask"),
        ("GET", "/events"),
        ("GET", "/results.csv"),
        ("GET", "/results.zip"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ],
)
def test_of_the_jobs_of_others_nobody_learns_that_they_are_there(guarded, headers, method: str, path: str) -> None:
    theirs = guarded.client.request(method, f"/v1/jobs/{ID}{path}", headers=headers["theirs"])
    none = guarded.client.request(method, f"/v1/jobs/{'b' * 32}{path}", headers=headers["theirs"])
    assert (theirs.status_code, theirs.json()["code"]) == (404, "job_unknown")
    assert theirs.json()["detail"] == none.json()["detail"]
    for who in ("mine", "admin"):
        assert guarded.client.get(f"/v1/jobs/{ID}", headers=headers[who]).status_code == 200


@pytest.mark.parametrize("who", ["mine", "admin"])
def test_who_ordered_a_job_may_delete_it_and_so_may_an_administrator(guarded, headers, who: str) -> None:
    assert guarded.client.delete(f"/v1/jobs/{ID}", headers=headers[who]).status_code == 204
    assert guarded.client.get(f"/v1/jobs/{ID}", headers=headers["admin"]).status_code == 404
