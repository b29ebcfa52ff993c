"""The registry: versions stay, the live one is a pointer."""

import pytest
from bundles import small_bundle

from skipseg.models.errors import BundleError, ModelConflict, ModelUnknown
from skipseg.models.registry import Registry, open_model


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


def test_a_live_version_is_not_removed_and_a_number_is_not_used_twice(registry, tmp_path):
    with pytest.raises(ModelConflict, match="is live"):
        registry.remove("brain", 1)
    registry.remove("brain", 2)
    assert registry.model("brain").versions == (1, 3)
    assert registry.add(small_bundle(tmp_path / "bundle", seed=4).folder, "brain").version == 4


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


def test_a_damaged_pointer_is_named_and_mended_by_promoting(registry):
    pointer = registry.root / "brain" / "live.json"
    pointer.write_text("{")
    with pytest.raises(ModelConflict, match=r"live.json of brain is damaged"):
        registry.models()
    pointer.unlink()
    registry.promote("brain", 2)
    assert live(registry) == 2


def test_a_name_that_would_leave_the_registry_is_refused(registry, tmp_path):
    with pytest.raises(ModelConflict):
        registry.add(small_bundle(tmp_path / "bundle").folder, "../outside")


def test_a_model_is_opened_by_folder_or_by_name(registry, tmp_path):
    assert open_model(str(tmp_path / "bundle"), registry).manifest.training.seed == 3
    assert open_model("brain", registry).manifest.training.seed == 1
    with pytest.raises(ModelUnknown):
        open_model("./nowhere", registry)


def test_every_registry_has_the_models_that_ship_with_skipseg(tmp_path):
    shipped = [model for model in Registry(tmp_path / "empty").models() if model.shipped]
    for model in shipped:
        assert model.live == 1
        with pytest.raises(ModelConflict, match="ships with"):
            Registry(tmp_path / "empty").remove(model.name, 1)
