"""What Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families


def samples(client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = client.get("/metrics").text
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_requests_are_counted_by_route_and_status(client) -> None:
    key = "skipseg_requests_total", (("method", "GET"), ("route", "/v1/models/{name}"), ("status", "404"))
    before = samples(client).get(key, 0)
    client.get("/v1/models/nobody")
    client.get("/v1/models/somebody")
    assert samples(client)[key] == before + 2


def test_paths_that_are_no_route_share_one_counter(client) -> None:
    client.get("/a/very/special/path")
    routes = {dict(labels).get("route") for _, labels in samples(client)}
    assert "unmatched" in routes
    assert not any("special" in (route or "") for route in routes)


def test_stages_are_timed(client, scan) -> None:
    key = "skipseg_stage_seconds_count", (("stage", "network"),)
    before = samples(client).get(key, 0)
    client.post("/v1/segmentations?model=small", files={"scan": scan})
    assert samples(client)[key] == before + 1


def test_the_line_and_the_models_are_gauges(lonely) -> None:
    with lonely.server.line.place():
        found = samples(lonely.client)
    assert found["skipseg_queue_length", ()] == 1
    assert found["skipseg_models_loaded", ()] == 1
    assert samples(lonely.client)["skipseg_queue_length", ()] == 0
