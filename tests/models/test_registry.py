"""The registry: versions stay, the live one is a pointer."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from bundles import small_bundle

from skipseg.models.errors import BundleError, ModelConflict, ModelUnknown
from skipseg.models.registry import SHIPPED, Registry, open_model


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "registry")
    for seed in (1, 2, 3):
        registry.add(small_bundle(tmp_path / "bundle", seed=seed).folder, "brain")
    return registry


def live(registry):
    return registry.model("brain").live


def test_the_first_version_is_live_and_later_ones_wait(registry):
    assert registry.model("brain").versions == (1, 2, 3)
    assert live(registry) == 1
    assert registry.resolve("brain").reference == "brain@1"
    assert registry.resolve("brain@3").open().manifest.training.seed == 3


def test_promotion_and_rollback_move_the_pointer_alone(registry):
    registry.promote("brain", 3)
    registry.promote("brain", 2)
    assert live(registry) == 2
    assert registry.rollback("brain") == 3
    assert registry.rollback("brain") == 1
    with pytest.raises(ModelConflict, match="promote another"):
        registry.rollback("brain")
    assert registry.model("brain").versions == (1, 2, 3)


def test_promoting_what_is_live_already_leaves_the_way_back(registry):
    registry.promote("brain", 2)
    registry.promote("brain", 2)
    assert registry.rollback("brain") == 1


def test_rollback_skips_what_was_removed_in_between(registry):
    for version in (2, 1, 3, 1):
        registry.promote("brain", version)
    registry.remove("brain", 3)
    assert registry.rollback("brain") == 2


def test_a_live_version_is_not_removed_while_there_are_others(registry):
    with pytest.raises(ModelConflict, match="is live"):
        registry.remove("brain", 1)
    registry.remove("brain", 2)
    registry.remove("brain", 3)
    registry.remove("brain", 1)
    assert "brain" not in [model.name for model in registry.models()]


def test_a_number_is_not_used_twice(registry, tmp_path):
    registry.remove("brain", 3)
    assert registry.add(tmp_path / "bundle", "brain").version == 4
    for version in (2, 4, 1):
        registry.remove("brain", version)
    assert registry.add(tmp_path / "bundle", "brain").version == 5
    assert live(registry) == 5


def test_a_pointer_without_the_highest_number_is_read(registry, tmp_path):
    (registry.root / "brain" / "live.json").write_text('{"history": [1, 2, 2]}')
    assert live(registry) == 2
    assert registry.rollback("brain") == 1
    assert registry.add(tmp_path / "bundle", "brain").version == 4


def test_adding_from_several_threads_gives_each_its_number(tmp_path):
    registry = Registry(tmp_path / "registry")
    bundle = small_bundle(tmp_path / "bundle").folder
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: registry.add(bundle, "brain").version, range(16)))
    assert sorted(added) == list(range(1, 17))
    assert {path.name for path in (registry.root / "brain" / "versions").iterdir()} == set(map(str, added))


@pytest.mark.parametrize("reference", ["liver", "brain@9", "brain@x", "brain@", "../brain", "", "brain@-1"])
def test_what_is_not_there_is_said_to_be_unknown(registry, reference):
    with pytest.raises(ModelUnknown):
        registry.resolve(reference if reference != "brain@" else "brain@@")


def test_a_damaged_version_cannot_be_added_or_promoted(registry, tmp_path):
    bundle = small_bundle(tmp_path / "bundle")
    (bundle.folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(BundleError):
        registry.add(bundle.folder, "brain")
    (registry.resolve("brain@2").folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(BundleError):
        registry.promote("brain", 2)
    assert live(registry) == 1
    assert registry.model("brain").versions == (1, 2, 3)


def test_a_damaged_pointer_is_named_and_mended_by_promoting(registry, tmp_path):
    pointer = registry.root / "brain" / "live.json"
    pointer.write_text("{")
    for change in (lambda: registry.resolve("brain"), lambda: registry.add(tmp_path / "bundle", "brain")):
        with pytest.raises(ModelConflict, match=r"live.json of brain is damaged"):
            change()
    registry.promote("brain", 2)
    assert live(registry) == 2


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"history": 1}', '{"history": ["x"]}', "\0"])
def test_a_damaged_pointer_hides_no_model(registry, tmp_path, text):
    registry.add(tmp_path / "bundle", "liver")
    (registry.root / "brain" / "live.json").write_text(text)
    assert [(model.name, model.live) for model in registry.models() if not model.shipped] == [
        ("brain", None),
        ("liver", 1),
    ]
    assert registry.resolve("brain@2").version == 2
    assert registry.resolve("liver").version == 1


def test_a_name_that_would_leave_the_registry_is_refused(registry, tmp_path):
    with pytest.raises(ModelConflict):
        registry.add(small_bundle(tmp_path / "bundle").folder, "../outside")


def test_a_model_is_opened_by_folder_or_by_name(registry, tmp_path):
    assert open_model(str(tmp_path / "bundle"), registry).manifest.training.seed == 3
    assert open_model("brain", registry).manifest.training.seed == 1
    with pytest.raises(ModelUnknown):
        open_model("./nowhere", registry)


def test_what_cannot_be_copied_leaves_nothing_behind(registry, tmp_path):
    (tmp_path / "bundle" / "card.md").unlink()
    (tmp_path / "bundle" / "card.md").symlink_to(tmp_path / "nowhere")
    with pytest.raises(shutil.Error):
        registry.add(tmp_path / "bundle", "brain")
    assert sorted(path.name for path in (registry.root / "brain" / "versions").iterdir()) == ["1", "2", "3"]


def test_a_model_that_ships_is_version_1_of_its_name(tmp_path):
    shipped = small_bundle(tmp_path / "shipped" / "brain", seed=7).folder
    registry = Registry(tmp_path / "registry", tmp_path / "shipped")
    assert registry.resolve("brain").folder == shipped
    assert registry.add(small_bundle(tmp_path / "bundle", seed=8).folder, "brain").version == 2
    assert live(registry) == 1
    with pytest.raises(ModelConflict, match="ships with"):
        registry.remove("brain", 1)


def test_ones_own_version_1_stays_when_its_name_ships_later(registry, tmp_path):
    small_bundle(tmp_path / "shipped" / "brain", seed=7)
    later = Registry(registry.root, tmp_path / "shipped")
    assert later.resolve("brain@1").open().manifest.training.seed == 1


def test_every_registry_has_the_models_that_ship_with_skipseg(tmp_path):
    shipped = [model for model in Registry(tmp_path / "empty").models() if model.shipped]
    assert "hippocampus" in [model.name for model in shipped]
    for model in shipped:
        assert sum(file.stat().st_size for file in (SHIPPED / model.name).rglob("*")) < 10_000_000
        assert "Licence" in (SHIPPED / model.name / "card.md").read_text()
        assert model.live == 1
        with pytest.raises(ModelConflict, match="ships with"):
            Registry(tmp_path / "empty").remove(model.name, 1)


CHANGES = """
import sys
from pathlib import Path
from skipseg.models.registry import Registry

registry, bundle, own = Registry(Path(sys.argv[1])), Path(sys.argv[2]), []
print("ready", flush=True)
for line in sys.stdin:
    for turn in range(10):
        if line == "add\\n" and turn < 2:
            own.append(registry.add(bundle, "brain").version)
        if line == "promote\\n":
            registry.promote("brain", own[turn % 2])
        if line == "rollback\\n":
            registry.rollback("brain")
    print("done", flush=True)
"""


def test_of_what_several_processes_change_at_once_nothing_is_lost(registry, tmp_path):
    command = [sys.executable, "-c", CHANGES, str(registry.root), str(tmp_path / "bundle")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]

    def all_at_once(change):
        for process in processes:
            process.stdin.write(f"{change}\n")
            process.stdin.flush()
        assert [process.stdout.readline() for process in processes] == ["done\n"] * 3

    try:
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
        all_at_once("add")
        assert registry.model("brain").versions == tuple(range(1, 10))
        all_at_once("promote")
        assert len(history(registry)) == 1 + 3 * 10
        all_at_once("rollback")
        assert history(registry) == [1]
    finally:
        for process in processes:
            process.communicate()


def history(registry):
    return json.loads((registry.root / "brain" / "live.json").read_text())["history"]


def test_a_rollback_that_is_asked_for_twice_goes_back_once(registry):
    registry.promote("brain", 2)
    registry.promote("brain", 3)
    assert registry.before("brain") == 2
    assert registry.rollback("brain", leaving=3) == 2
    with pytest.raises(ModelConflict, match="brain@3 is not live, brain@2 is"):
        registry.rollback("brain", leaving=3)
    assert live(registry) == 2


def test_a_version_whose_removal_a_crash_cut_off_is_gone_and_goes_for_good_with_the_next(registry):
    versions = registry.root / "brain" / "versions"
    (versions / "3").rename(versions / ".removing-cut-off")
    assert registry.model("brain").versions == (1, 2)
    registry.remove("brain", 2)
    assert [path.name for path in versions.iterdir()] == ["1"]
