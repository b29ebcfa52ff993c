"""The view Operate: what it shows is what the server tells, and who may not look reads why."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from browsing import Visit, visit
from keyholders import app_of
from playwright.sync_api import Page
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from servers import RunningServer, in_thread

from skipseg.service.keys.store import KeyStore

PHONE = {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}}
MODULE = "import(new URL('page/js/operate/{}.js', document.baseURI).href)"
READ = f"""text => {MODULE.format("prometheus")}.then(({{ samplesOf }}) =>
    JSON.stringify(samplesOf(text), (_, value) => value === Infinity ? 'inf' : value))"""


def told_by(server: RunningServer) -> dict[str, dict[str, float]]:
    """Metrics by their name, and their samples by the values of their labels."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(server.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, {})["/".join(sample.labels.values())] = sample.value
    return found


def segmented(server: RunningServer, scan: Path, model: str) -> int:
    files = {"scan": (scan.name, scan.read_bytes())}
    return server.post(f"/v1/segmentations?model={model}", files=files).status_code


def stages(page: Page) -> dict[str, tuple[int, str]]:
    """Scans since the start, and their mean seconds in words, by stage."""
    rows = page.locator("table.stages tbody tr").all()
    cells = {row.get_attribute("data-stage"): row.locator("td").all_inner_texts() for row in rows}
    return {stage: (int(scans), mean) for stage, (_, mean, scans, _) in cells.items()}


def seconds(words: str) -> float:
    value, unit = words.split()
    return float(value.replace(",", "")) * {"s": 1, "ms": 0.001}[unit]


def test_it_shows_what_the_server_tells(opened, server: RunningServer, hippocampus: Path) -> None:
    assert segmented(server, hippocampus, "hippocampus@1") == 200
    assert segmented(server, hippocampus, "unheard-of") == 404
    with opened("/#/operate") as seen:
        page = seen.page
        page.locator("table.stages").wait_for()
        told, shown = told_by(server), stages(page)
        scans = told["skipseg_stage_seconds_count"]
        assert {stage: count for stage, (count, _) in shown.items()} == scans
        for stage, (count, mean) in shown.items():
            exact = told["skipseg_stage_seconds_sum"][stage] / count
            assert seconds(mean) == pytest.approx(exact, rel=0.006)
        refused = page.locator("tr[data-code='model_unknown'] td").all_inner_texts()
        assert refused == ["404", f"{told['skipseg_errors_total']['model_unknown/404']:g}"]
        models = page.locator("table.residents tbody tr").evaluate_all("rows => rows.map(row => row.dataset.model)")
        assert models == server.get("/v1/info").json()["models"]
        assert page.locator(".glance").get_by_text("ready", exact=True).count() == 1
        assert segmented(server, hippocampus, "hippocampus@1") == 200
        page.get_by_text(": 1 scan in the last").wait_for()
        assert stages(page)["network"][0] == scans["network"] + 1
        words = page.locator("figure.plot figcaption span").all_inner_texts()
        assert len(words) == 6
        assert all(words)
        assert seen.complaints() == []


def looks(seen: Visit) -> int:
    """How often it has looked; what it asks for is told in order, so all of it before something of our own."""
    with seen.page.expect_request("**/healthz"):
        seen.page.evaluate("fetch(new URL('healthz', document.baseURI)).then((answer) => answer.text())")
    return sum(address.endswith("/metrics") for address in seen.asked)


def test_it_looks_only_while_somebody_does(opened) -> None:
    with opened("/#/operate", **PHONE) as seen:
        page = seen.page
        page.locator("table.stages").wait_for()
        with page.expect_request("**/metrics"):  # again
            pass
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert seen.complaints() == []
        page.get_by_role("button", name="Pause").click()
        before = looks(seen)
        page.wait_for_timeout(2500)
        assert looks(seen) == before
        with page.expect_request("**/metrics"):
            page.get_by_role("button", name="Go on").click()
        page.get_by_role("navigation").get_by_role("link", name="Models").click()
        page.get_by_role("heading", name="Models", exact=True).wait_for()
        before = looks(seen)
        page.wait_for_timeout(2500)
        assert looks(seen) == before


def test_a_key_without_the_scope_reads_which_one_is_needed_and_a_server_that_is_gone_is_called_so(
    browser, tmp_path: Path
) -> None:
    store = KeyStore(tmp_path)
    _, narrow = store.create("", ("segment",), days=1)
    _, wide = store.create("", ("read",), days=1)
    with ExitStack() as running:
        url = running.enter_context(in_thread(app_of(tmp_path)))
        with visit(browser, url, "/#/operate") as seen:
            page = seen.page
            for key in (narrow, wide):
                page.get_by_role("textbox", name="Key").fill(key)
                page.keyboard.press("Enter")
                page.get_by_text("up, not ready").wait_for()  # there is no model
                if key == narrow:
                    page.get_by_text('needs a key with the scope "read"').wait_for()
                    assert page.get_by_role("alert").count() == 0
                    assert seen.complaints() == []
                    page.get_by_role("button", name="Use another key").click()
            page.locator("table.stages").wait_for()
            assert page.get_by_text('needs a key with the scope "read"').count() == 0
            running.close()
            page.get_by_text("does not answer", exact=True).wait_for()
            assert "Check that it is running" in page.get_by_role("alert").inner_text()
            assert page.locator("table.stages").is_visible()


def test_the_text_of_prometheus_is_read_as_its_own_parser_reads_it(opened, server: RunningServer) -> None:
    registry = CollectorRegistry()
    odd = Gauge("odd", "Help, with {braces} and \\ in it.", ["route", "code"], registry=registry)
    for route, code, value in (("/v1/{id}", 'a "b"', 1.5), ("a\nb\\n", "} 7", float("inf")), ("", "=,", -3e-9)):
        odd.labels(route, code).set(value)
    Counter("plain", "Nothing.", registry=registry).inc(2)
    with opened("/#/operate") as seen:
        for text in (generate_latest(registry).decode(), server.get("/metrics").text):
            found = json.loads(seen.page.evaluate(READ, text))
            expected: dict[str, list[dict]] = {}
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    value = "inf" if sample.value == float("inf") else sample.value
                    expected.setdefault(sample.name, []).append({"labels": sample.labels, "value": value})
            assert found == expected


def test_rates_know_gaps_and_servers_that_started_anew(opened) -> None:
    script = f"""looks => {MODULE.format("history")}.then(({{ History }}) => {{
        const history = new History();
        for (const [at, started, busy] of looks) history.add({{ at, started, busy }});
        return history.points((_, index) => history.rate(({{ busy }}) => busy, index)).map(([, rate]) => rate);
    }})"""
    steady = [[at, 1, at / 4] for at in range(0, 8, 2)]
    with opened("/#/operate") as seen:
        rates = lambda looks: seen.page.evaluate(script, looks)  # noqa: E731
        assert rates(steady) == [None, 0.25, 0.25, 0.25]
        assert rates([*steady, [60, 1, 30], [62, 1, 32]]) == [None, 0.25, 0.25, 0.25, None, None, 1]
        assert rates([*steady, [8, 2, 0], [10, 2, 1]]) == [None, 0.5]
        assert len(rates([[at, 1, 0] for at in range(0, 3600, 2)])) == 151
