"""Broken and hostile files are refused with the right class and words, and cost next to nothing."""

import pytest
from malformed import MALFORMED

from skipseg.models.scans.reader import read_scan


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_with_words_that_help(name: str) -> None:
    case = MALFORMED[name]
    with pytest.raises(case.error) as refusal:
        read_scan(case.data)
    assert type(refusal.value) is case.error
    assert [word for word in case.words if word.lower() not in str(refusal.value).lower()] == []
