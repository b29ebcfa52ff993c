"""Which rule takes which series."""

import json
from pathlib import Path

import pytest
from bundles import small_bundle, small_plan
from dicom_senders import MadeUp
from servers import registry_without_shipped, skipseg

from skipseg.models.errors import UsageError
from skipseg.service.dicom.listening.header import InstanceHeader
from skipseg.service.dicom.listening.rulebook import checked
from skipseg.service.dicom.listening.rules import PatternTooSlow, Rule, Rules, Series
from skipseg.service.settings import Settings


def series(modality="MR", description="T1 MPRAGE sag", body_part="BRAIN", sender="CT1", instances=160) -> Series:
    return Series(InstanceHeader("1.1", "1.2", "1.3", "1.4", modality, description, body_part), sender, instances)


@pytest.mark.parametrize(
    ("conditions", "found", "takes_it"),
    [
        ({}, series(), True),
        ({"modality": "MR"}, series(), True),
        ({"modality": ["CT", "mr"]}, series(), True),
        ({"modality": "CT"}, series(), False),
        ({"modality": "CT"}, series(modality=""), False),
        ({"series_description": "mprage"}, series(), True),
        ({"series_description": "^t1.*sag$"}, series(), True),
        ({"series_description": "^mprage"}, series(), False),
        ({"series_description": "t2|flair"}, series(), False),
        ({"series_description": "."}, series(description=""), False),
        ({"body_part": "brain"}, series(), True),
        ({"body_part": ["HEAD", "NECK"]}, series(), False),
        ({"from": "CT1"}, series(), True),
        ({"from": ["ct1"]}, series(), False),  # AE titles differ by their capitals
        ({"at_least": 160}, series(), True),
        ({"at_least": 20}, series(instances=3), False),  # a localizer
        ({"modality": "MR", "series_description": "mprage", "body_part": "LEG"}, series(), False),
    ],
)
def test_a_rule_takes_what_meets_all_its_conditions(conditions, found, takes_it) -> None:
    assert Rule.model_validate({"name": "x", "model": "small", **conditions}).matches(found) == takes_it


def test_the_first_rule_that_matches_counts() -> None:
    rules = Rules.model_validate(
        {
            "rules": [
                {"name": "localizers", "series_description": "loc|scout", "ignore": True},
                {"name": "t1", "series_description": "t1", "model": "a"},
                {"name": "mr", "modality": "MR", "model": "b"},
            ]
        }
    )
    names = [rules.rule_for(series(description=text)).name for text in ("T1 scout", "T1", "T2")]
    assert names == ["localizers", "t1", "mr"]
    assert rules.rule_for(series(modality="CT", description="thorax")) is None


def test_a_pattern_that_takes_for_ever_is_ended_and_no_later_rule_is_taken_instead() -> None:
    slow = {"name": "slow", "series_description": "(a+)+$", "model": "a"}
    rules = Rules.model_validate({"rules": [slow, {"name": "all", "model": "b"}]})
    with pytest.raises(PatternTooSlow):
        rules.rule_for(series(description="a" * 60 + "!"))
    assert rules.rule_for(series(description="b")).name == "all"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules = 3", "rules"),
        ("rules = []", "rules"),
        ('[[rules]]\nname = "a"', "names a model"),
        ('[[rules]]\nname = "a"\nmodel = "m"\nignore = true', "names a model"),
        ('[[rules]]\nname = "a"\nmodel = "m"\nmodalty = "MR"', "modalty"),
        ('[[rules]]\nname = "a"\nmodel = "m"\nseries_description = "("', "regular expression"),
        ('[[rules]]\nname = "a"\nmodel = "m"\n[[rules]]\nname = "a"\nmodel = "m"', "name of its own"),
        ('[[rules]]\nname = "a"\nmodel = "m"\ngeometry = "guess"', "geometry"),
        ("[[rules", "TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_is_wrong(tmp_path, text, told) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        Rules.read(path)


def test_rules_are_read_from_json_as_well(tmp_path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"rules": [{"name": "a", "model": "m", "from": ["CT1"], "send_to": "pacs"}]}))
    [rule] = Rules.read(path).rules
    assert (rule.sender, rule.send_to) == (("CT1",), "pacs")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"model": "nosuch"}, "nosuch"),
        ({"model": "pair"}, "one channel"),
        ({"model": "small", "send_to": "nowhere"}, "no such DICOM node"),
        ({"model": "small", "format": "gif"}, "format"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_named(tmp_path, rule, told) -> None:
    registry = registry_without_shipped(tmp_path)
    registry.add(small_bundle(tmp_path / "one").folder)
    registry.add(small_bundle(tmp_path / "two", small_plan(3, 2), "pair").folder)
    rules = Rules.model_validate({"rules": [{"name": "the odd one", **rule}]})
    with pytest.raises(UsageError, match=told) as refused:
        checked(rules, registry, Settings().dicom_nodes)
    assert "the odd one" in str(refused.value)


def test_the_command_line_tells_which_rule_takes_a_series(tmp_path: Path, data: Path) -> None:
    MadeUp().write(tmp_path / "series", 3)
    rules = tmp_path / "rules.toml"
    taken = skipseg("dicom", "rules", "check", rules, "--series", tmp_path / "series", "--data", data)
    assert (taken.returncode, taken.stdout) == (0, "brains: to small, results to nobody\n")
    MadeUp(description="T2").write(tmp_path / "other", 3)
    assert skipseg("dicom", "rules", "check", rules, "--series", tmp_path / "other", "--data", data).returncode == 1
