import pytest

from fedner.config.suggesting import suggestion


def test_a_suggestion_ignores_case_and_stays_silent_when_nothing_is_close() -> None:
    assert suggestion("chemicals", ["Chemical", "Disease"]) == " (did you mean 'Chemical'?)"
    assert suggestion("xyz", ["Chemical", "Disease"]) == ""


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("policy.max_round", " (did you mean 'policy.max_rounds'?)"),  # beside it, though `max_round` is closer
        ("polcy.max_rounds", " (did you mean 'policy.max_rounds'?)"),
        ("policy.max_rounds", ""),  # its value was at fault
        ("policy.zzz", ""),  # the same parent is no likeness
    ],
)
def test_a_dotted_key_is_compared_with_those_beside_it_first(key: str, wanted: str) -> None:
    assert suggestion(key, ["max_round", "policy.max_rounds", "policy.dev"]) == wanted
