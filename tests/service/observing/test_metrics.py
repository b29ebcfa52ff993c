"""What Prometheus reads."""

from bundles import small_bundle
from prometheus_client.parser import text_string_to_metric_families
from servers import registry_without_shipped, serving

from skipseg import __version__
from skipseg.models.precision import choose_device
from skipseg.service.observing.readings import gpu_memory

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(client) -> Samples:
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


def test_refusals_are_counted_by_code(client) -> None:
    def count(code: str, status: int) -> float:
        return samples(client).get(("skipseg_errors_total", (("code", code), ("status", str(status)))), 0)

    before = count("model_unknown", 404), count("scan_corrupt", 400), count("host_unknown", 400)
    client.post("/v1/segmentations?model=nobody")
    client.post("/v1/segmentations?model=small", files={"scan": b""})
    client.get("/healthz", headers={"Host": "elsewhere"})
    assert (count("model_unknown", 404), count("scan_corrupt", 400), count("host_unknown", 400)) == tuple(
        one + 1 for one in before
    )
    assert count("internal", 500) == 0


def test_stages_are_timed(client, scan) -> None:
    key = "skipseg_stage_seconds_count", (("stage", "network"),)
    before = samples(client).get(key, 0)
    client.post("/v1/segmentations?model=small", files={"scan": scan})
    assert samples(client)[key] == before + 1


def test_a_scan_keeps_the_device_busy_for_its_tiles(client, scan) -> None:
    tiles, busy = ("skipseg_tiles_total", ()), ("skipseg_device_busy_seconds_total", ())
    client.post("/v1/segmentations?model=small", files={"scan": scan})
    first = samples(client)
    client.post("/v1/segmentations?model=small", files={"scan": scan})
    second = samples(client)
    client.post("/v1/segmentations?model=small&overlap=0.8", files={"scan": scan})
    third = samples(client)
    assert second[busy] > first[busy] > 0
    assert third[tiles] - second[tiles] > second[tiles] - first[tiles] > 0


def test_the_line_and_the_models_are_gauges(lonely) -> None:
    with lonely.server.line.place():
        found = samples(lonely.client)
    assert found["skipseg_queue_length", ()] == 1
    assert found["skipseg_queue_limit", ()] == 2
    assert found["skipseg_scans_in_flight", ()] == 0  # it holds a place, and the device has none of its tiles
    assert found["skipseg_models_loaded", ()] == 1
    assert samples(lonely.client)["skipseg_queue_length", ()] == 0


def test_memory_is_told_with_its_limits(server, client) -> None:
    found = samples(client)
    info = client.get("/v1/info").json()["model_memory"]
    assert found["skipseg_model_memory_bytes", ()] == info["used_bytes"] > 0
    assert found["skipseg_model_memory_limit_bytes", ()] == info["budget_bytes"]
    assert found["skipseg_scan_memory_bytes", ()] == 0
    assert found["skipseg_scan_memory_limit_bytes", ()] > 0
    assert found["process_resident_memory_bytes", ()] > 50e6


def test_scans_under_way_are_told_by_what_they_hold(lonely) -> None:
    room = lonely.server.segmenter.room
    room.held += 12345
    assert samples(lonely.client)["skipseg_scan_memory_bytes", ()] == 12345


def test_memory_of_a_gpu_is_told_where_there_is_one() -> None:
    device = choose_device("auto")
    used, total = ([sample.value for sample in family.samples] for family in gpu_memory(device))
    assert len(used) == len(total) == (device.type == "cuda")
    assert all(0 < some < all_of_it for some, all_of_it in zip(used, total, strict=True))


def test_models_that_load_and_those_that_cannot_are_counted(tmp_path) -> None:
    registry = registry_without_shipped(tmp_path)
    for name in ("good", "damaged"):
        registry.add(small_bundle(tmp_path / name, name=name).folder)
    (registry.resolve("damaged").folder / "weights.safetensors").write_bytes(b"")
    with serving(tmp_path) as server, server.client() as client:
        found = samples(client)
    assert found["skipseg_model_loads_total", (("outcome", "loaded"),)] == 1
    assert found["skipseg_model_loads_total", (("outcome", "failed"),)] == 1
    assert (found["skipseg_models_loaded", ()], found["skipseg_models_failed", ()]) == (1, 1)
    assert found["skipseg_build_info", (("device", "cpu"), ("version", __version__))] == 1


def test_jobs_are_told_by_state_once_somebody_keeps_jobs(lonely) -> None:
    assert "# TYPE skipseg_jobs gauge" in lonely.client.get("/metrics").text
    lonely.server.metrics.job_counts = lambda: {"running": 2, "failed": 1}
    found = samples(lonely.client)
    assert found["skipseg_jobs", (("state", "running"),)] == 2
    assert found["skipseg_jobs", (("state", "failed"),)] == 1
