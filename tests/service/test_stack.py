"""docker/compose*.yaml: what no schema tells, since it is about this repository or about safety."""

from pathlib import Path

import pytest
import yaml

from skipseg.service.settings import FILE_VARIABLE, PREFIX, Settings

DOCKER = Path(__file__).parents[2] / "docker"
FILES = ("compose.yaml", "compose.stack.yaml")
SERVICES = [
    (file, name) for file in FILES for name in yaml.safe_load((DOCKER / file).read_text())["services"]
]  # every service that is told whole


def service_of(file: str, name: str) -> dict:
    return yaml.safe_load((DOCKER / file).read_text())["services"][name]


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_every_container_is_read_only_without_privileges(file: str, name: str) -> None:
    service = service_of(file, name)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_what_is_set_is_a_setting_and_no_secret(file: str, name: str) -> None:
    variables = service_of(file, name).get("environment", {})
    ours = {variable for variable in variables if variable.startswith(PREFIX)} - {FILE_VARIABLE}
    assert {variable.removeprefix(PREFIX).lower() for variable in ours} <= set(Settings.model_fields)
    assert not [value for key, value in variables.items() if "PASSWORD" in key and not key.endswith("_FILE")]
    assert not [value for value in variables.values() if "://" in value]


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_files_that_are_mounted_are_there_and_read_only(file: str, name: str) -> None:
    mounts = [volume.split(":") for volume in service_of(file, name).get("volumes", []) if volume.startswith(".")]
    for source, *_, access in mounts:
        assert (DOCKER / source).exists()
        assert access == "ro"


def test_only_the_server_and_grafana_can_be_reached_and_from_this_machine_alone() -> None:
    stack = yaml.safe_load((DOCKER / "compose.stack.yaml").read_text())
    published = {name: service["ports"] for name, service in stack["services"].items() if "ports" in service}
    assert published.keys() == {"skipseg", "grafana"}
    assert all(":-127.0.0.1:" in port for ports in published.values() for port in ports)
    assert stack["networks"]["inside"]["internal"] is True
    outside = {name for name, service in stack["services"].items() if "outside" in service["networks"]}
    assert outside == published.keys()


def test_every_secret_is_declared_and_none_is_in_the_repository() -> None:
    stack = yaml.safe_load((DOCKER / "compose.stack.yaml").read_text())
    used = {secret for service in stack["services"].values() for secret in service.get("secrets", [])}
    assert used == stack["secrets"].keys()
    assert {secret["file"] for secret in stack["secrets"].values()} == {f"secrets/{name}" for name in used}
    assert (DOCKER / "secrets" / ".gitignore").read_text().splitlines()[0] == "*"


def test_prometheus_asks_the_server_by_a_name_that_it_answers_to() -> None:
    stack = yaml.safe_load((DOCKER / "compose.stack.yaml").read_text())["services"]
    [scraped] = yaml.safe_load((DOCKER / "monitoring" / "stack" / "prometheus.yaml").read_text())["scrape_configs"]
    [target] = scraped["static_configs"][0]["targets"]
    settings = stack["skipseg"]["environment"]
    assert target == f"skipseg:{settings['SKIPSEG_PORT']}"
    assert settings["SKIPSEG_HOSTS"].split(",")[0] == "skipseg"
    assert scraped["authorization"]["credentials_file"] == f"/run/secrets/{stack['prometheus']['secrets'][0]}"
    assert scraped["job_name"] == "skipseg"  # that alerts ask for
