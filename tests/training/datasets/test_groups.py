"""Cases that belong together are never on both sides of a split."""

from dataclasses import replace
from pathlib import Path

import pytest

from skipseg.models.errors import DatasetError, UsageError
from skipseg.training.datasets.dataset import Dataset, open_dataset
from skipseg.training.datasets.groups import read_groups, with_groups
from skipseg.training.datasets.layouts import Case
from skipseg.training.datasets.split import draw_folds, split_cases

CASES = {f"c{number:02d}" for number in range(40)}


def cases_of(count: int, group_size: int) -> Dataset:
    """A list of cases, of which every ``group_size`` in a row are of one group."""
    cases = tuple(Case(f"c{n:02d}", (Path(f"{n}.png"),), Path(f"{n}.png")) for n in range(count))
    groups = {case.name: f"g{n // group_size}" for n, case in enumerate(cases)} if group_size > 1 else {}
    return Dataset(Path(), "cases", "folders", ("image",), None, cases, groups=groups)


def names(cases):
    return {case.name for case in cases}


def torn(dataset, split):
    return {dataset.groups.get(case.name, case.name) for case in split.training} & {
        dataset.groups.get(case.name, case.name) for case in split.validation
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_folds_keep_every_case_out_once_and_never_tear_a_group(size):
    dataset = cases_of(40, size)
    folds = draw_folds(dataset, 5)
    assert sorted(case.name for fold in folds for case in fold.validation) == sorted(CASES)
    assert all(not torn(dataset, fold) for fold in folds)
    assert all(len(fold.training) + len(fold.validation) == 40 for fold in folds)
    sizes = [len(fold.validation) for fold in folds]
    assert max(sizes) - min(sizes) <= size


@pytest.mark.parametrize("wish", [{}, {"fold": 0}, {"fold": 4}])
def test_the_default_tenth_and_a_fifth_never_tear_a_group(wish):
    dataset = cases_of(40, 3)
    split = split_cases(dataset, **wish)
    assert split.validation
    assert not torn(dataset, split)


def test_without_groups_a_fifth_is_one_of_five_folds():
    dataset = cases_of(23, 1)
    for number, fold in enumerate(draw_folds(dataset, 5)):
        assert split_cases(dataset, fold=number) == fold


def test_a_tenth_is_still_kept_out_when_every_group_is_larger():
    split = split_cases(cases_of(20, 5))
    assert len(split.validation) == 5


def test_a_single_group_is_trained_on_whole():
    assert not split_cases(cases_of(4, 4)).validation


def test_more_folds_than_groups_are_refused():
    with pytest.raises(UsageError, match="5 folds need at least as many groups; the dataset has 4"):
        draw_folds(cases_of(40, 10), 5)
    with pytest.raises(UsageError, match="labelled cases; the dataset has 3"):
        draw_folds(cases_of(3, 1), 5)


def test_a_list_of_cases_to_keep_out_that_tears_a_group_is_refused(tmp_path):
    listed = tmp_path / "cases.txt"
    listed.write_text("c00\nc01\n")
    with pytest.raises(DatasetError, match="group g0 is on both sides: c00 is kept out, c02 is trained on"):
        split_cases(cases_of(40, 3), listed)
    listed.write_text("c00\nc01\nc02\n")
    assert names(split_cases(cases_of(40, 3), listed).validation) == {"c00", "c01", "c02"}


def test_a_table_of_groups_is_read_by_its_columns(tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("\ufeffage,Group,case\n31,anna,c00\n\n 31,anna , c01\n40,ben,c02\n", encoding="utf-8")
    assert read_groups(table, CASES) == {"c00": "anna", "c01": "anna", "c02": "ben"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "columns case and group"),
        ("c00,anna\n", "columns case and group"),
        ("case,group\nc00,anna\nc99,ben\n", "line 3: the dataset has no case c99"),
        ("case,group\nc00,anna\nc00,ben\n", "line 3: c00 comes twice"),
        ("case,group\nc00\n", "line 2: there is no group"),
        ("case,group\n,anna\n", "line 2: there is no case"),
        ("case,group\nc00,\n", "line 2: there is no group"),
    ],
)
def test_a_bad_row_is_named(tmp_path, content, words):
    (tmp_path / "groups.csv").write_text(content)
    with pytest.raises(UsageError, match=words):
        read_groups(tmp_path / "groups.csv", CASES)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "groups.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        read_groups(tmp_path / "groups.csv", CASES)


def test_a_dataset_names_groups_itself_and_a_file_replaces_them(made, tmp_path):
    dataset = open_dataset(made.msd(4, groups={"a0": "anna", "a1": "anna", "a2": 7}))
    assert dataset.groups == {"a0": "anna", "a1": "anna", "a2": "7"}
    (tmp_path / "groups.csv").write_text("case,group\na0,x\n")
    assert with_groups(dataset, tmp_path / "groups.csv").groups == {"a0": "x"}
    assert with_groups(dataset, None) is dataset
    assert replace(dataset, groups={}) != dataset


@pytest.mark.parametrize(
    ("groups", "words"), [({"a9": "anna"}, "no case a9"), ({"a0": ""}, "groups.a0"), (["a0"], "groups")]
)
def test_groups_in_dataset_json_that_make_no_sense_are_refused(made, groups, words):
    with pytest.raises(DatasetError, match=words):
        open_dataset(made.msd(3, groups=groups))
