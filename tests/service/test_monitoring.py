"""What docker/monitoring asks Prometheus for is what the server tells."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

MONITORING = Path(__file__).parents[2] / "docker" / "monitoring"
OPERATE = Path(__file__).parents[2] / "docs" / "operate.md"

SCRAPED = {"instance", "job"}  # labels that Prometheus adds, as it adds the metric `up`
WORDS = {"by", "and", "or", "unless", "on", "without", "ignoring", "instance", "le"}


def rules() -> dict[str, dict]:
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> dict[str, list[str]]:
    board = json.loads((MONITORING / "grafana" / "dashboards" / "skipseg.json").read_text())
    return {panel["title"]: [target["expr"] for target in panel.get("targets", [])] for panel in board["panels"]}


QUERIES = {f"alert {name}": rule["expr"] for name, rule in rules().items()} | {
    f"{title} {number}": expr for title, exprs in panels().items() for number, expr in enumerate(exprs)
}


@pytest.fixture
def told(lonely, scan) -> dict[str, set[str]]:
    """Every name in /metrics, and the labels it is told with."""
    lonely.server.metrics.job_counts = lambda: {"failed": 1}
    lonely.server.metrics.delivery_counts = lambda: {"given_up": 1}
    lonely.client.post("/v1/segmentations", files={"scan": scan})
    families = list(text_string_to_metric_families(lonely.client.get("/metrics").text))
    names: dict[str, set[str]] = defaultdict(set, {family.name: set() for family in families})
    for sample in (sample for family in families for sample in family.samples):
        names[sample.name] |= set(sample.labels)
    return names | {"up": set()}


def test_every_query_names_metrics_and_labels_that_there_are(told: dict[str, set[str]]) -> None:
    wrong = [f"{title}: {what}" for title, query in QUERIES.items() for what in unknown_in(query, told)]
    assert wrong == []


def test_the_check_of_queries_finds_a_wrong_name_and_a_wrong_label(told: dict[str, set[str]]) -> None:
    assert unknown_in('sum by (code) (rate(skipseg_eror_total{code="x"}[5m])) > 0', told)[0] == "skipseg_eror_total"
    assert unknown_in('skipseg_errors_total{kode="x", job="a"}', told) == ["skipseg_errors_total{kode}"]
    assert unknown_in("sum by (kode) (rate(skipseg_errors_total[5m]))", told) == ["by (kode)"]


def unknown_in(query: str, told: dict[str, set[str]]) -> list[str]:
    """Names of metrics, and labels of theirs, that the server does not have."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|without) \([^)]*\)", "", query)
    names = [name for name in re.findall(r"[a-z_][a-z0-9_]*\b(?!\s*\()", bare) if name not in WORDS]
    selected = [
        (name, label)
        for name, selector in re.findall(r"(\w+)\{([^}]*)\}", query)
        for label in re.findall(r"(\w+)\s*[=!]", re.sub(r'"[^"]*"', "", selector))
    ]
    grouped = [label for labels in re.findall(r"\bby \(([^)]*)\)", query) for label in re.split(r",\s*", labels)]
    known = SCRAPED.union(*(told.get(name, set()) for name in names))
    return [
        *(name for name in names if name not in told),
        *(f"{name}{{{label}}}" for name, label in selected if label not in SCRAPED | told.get(name, {label})),
        *(f"by ({label})" for label in grouped if label not in known),
    ]


@pytest.mark.parametrize("name", rules())
def test_an_alert_says_how_urgent_it_is_and_what_to_do(name: str) -> None:
    rule = rules()[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert f"`{name}`" in OPERATE.read_text()


def test_every_metric_of_ours_is_described_and_drawn_or_watched(lonely) -> None:
    families = list(text_string_to_metric_families(lonely.client.get("/metrics").text))
    names = {family.name for family in families if re.fullmatch("skipseg_.*(?<!_created)", family.name)}
    text, queries = OPERATE.read_text(), " ".join(QUERIES.values())
    assert [name for name in names if f"`{name}" not in text] == []
    assert [name for name in names if name not in queries and name != "skipseg_build_info"] == []


def test_prometheus_asks_where_the_server_listens_and_reads_the_rules() -> None:
    settings = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    (job,) = settings["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("skipseg", "/metrics")
    assert job["static_configs"] == [{"targets": ["127.0.0.1:8000"]}]
    assert all((MONITORING / file).is_file() for file in settings["rule_files"])


def test_grafana_is_told_of_the_source_and_the_folder_that_the_dashboard_is_in() -> None:
    provisioning = MONITORING / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "skipseg.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "skipseg.yaml").read_text())["providers"]
    board = json.loads((MONITORING / "grafana" / "dashboards" / "skipseg.json").read_text())
    assert source["type"] == "prometheus"
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) >= 15
