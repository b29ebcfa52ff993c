"""Broken and hostile uploads: refused in words, cheap, and survived."""

import pytest
from malformed import ERROR_STATUS, MALFORMED, Malformed
from process_memory import forget_the_peak, kilobytes

PATH = "/v1/segmentations"
ALLOWED_KB = 300 * 1024  # above idle


def post(client, case: Malformed):
    return client.post(PATH, params={"model": "small"}, files={"scan": (case.file_name, case.data)})


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_scan_is_a_problem_with_words_that_help(client, name: str) -> None:
    case = MALFORMED[name]
    answer = post(client, case)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (ERROR_STATUS[case.error], case.error.code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [word for word in case.words if word.lower() not in told["detail"].lower()] == []


def test_malformed_scans_cost_little_memory_and_a_good_one_is_answered_after(server, client, scan) -> None:
    def good():
        return client.post(PATH, params={"model": "small"}, files={"scan": ("scan.nii.gz", scan)})

    before = good()
    idle = kilobytes(server.pid, "VmRSS")
    forget_the_peak(server.pid)
    statuses = [post(client, case).status_code for case in MALFORMED.values()]
    assert set(statuses) <= {400, 413, 415, 422}
    assert kilobytes(server.pid, "VmHWM") - idle < ALLOWED_KB
    assert good().content == before.content
