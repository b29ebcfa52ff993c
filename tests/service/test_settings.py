"""Where settings come from, and that each is documented."""

from pathlib import Path

import pytest
from servers import skipseg

from skipseg.models.errors import UsageError
from skipseg.service.settings import Settings, load_settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    field = Settings.model_fields[name]
    row = next((line for line in DOCUMENT.read_text().splitlines() if f"`SKIPSEG_{name.upper()}`" in line), "")
    assert field.description
    assert field.description in row


def test_nothing_is_documented_that_is_no_setting() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `SKIPSEG_")]
    assert len(rows) == len(Settings.model_fields)


def test_limits_on_scans_come_from_the_settings() -> None:
    limits = Settings(max_upload_bytes=1000, max_voxels=20, max_channels=3).limits
    assert (limits.file_bytes, limits.voxels, limits.channels) == (1000, 20, 3)


@pytest.mark.parametrize("wrong", [{"port": 70000}, {"port": "x"}, {"device": "tpu"}, {"queue_size": 0}])
def test_a_wrong_setting_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        load_settings(**wrong)


def test_what_is_not_given_keeps_its_default() -> None:
    assert load_settings(host=None).host == "127.0.0.1"


def test_the_environment_goes_before_the_file_and_the_command_line_before_both(tmp_path: Path) -> None:
    """Told by what ``serve`` complains about, since a good address would serve."""
    file = tmp_path / "settings.toml"
    file.write_text('host = "192.0.2.1"\nqueue_size = 3\n')
    from_file = skipseg("serve", settings_file=file)
    from_environment = skipseg("serve", settings_file=file, host="192.0.2.2")
    from_command_line = skipseg("serve", "--host", "192.0.2.3", settings_file=file, host="192.0.2.2")
    assert "192.0.2.1" in from_file.stderr
    assert "192.0.2.2" in from_environment.stderr
    assert "192.0.2.3" in from_command_line.stderr


@pytest.mark.parametrize("text", ["qeue_size = 3", "queue_size = 'many'", "queue_size ="])
def test_a_mistake_in_the_file_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    run = skipseg("serve", settings_file=file)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_a_settings_file_that_is_not_there_is_an_error() -> None:
    run = skipseg("serve", settings_file="/nowhere.toml")
    assert (run.returncode, "/nowhere.toml" in run.stderr) == (2, True)
