import math

import pytest

from latflow.report.numbers import ABSENT, compact, count, duration, is_number, plain, signed


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.0641, 0.0011, "1.0641(11)"),
        (0.14155, 0.00008, "0.141550(80)"),
        (6.9826, 0.0019, "6.9826(19)"),
        (3.956, 0.03, "3.956(30)"),
        (12.34, 1.42, "12.3(1.4)"),
        (1234.5, 142.0, "1230(140)"),
        (1234.5, 14.2, "1234(14)"),
        (0.5, 0.0996, "0.50(10)"),
        (0.5, 0.996, "0.5(1.0)"),
        (95.0, 99.6, "100(100)"),
        (-1.0, 0.25, "−1.00(25)"),
        (-3.9e-9, 2.1e-10, "−3.90(21)e−09"),
        (0.0, 2.0e-9, "0.0(2.0)e−09"),
        (1.25, None, "1.25"),
        (1.25, 0.0, "1.25"),
        (4, 1, "4.0(1.0)"),
        (1.25, math.nan, "1.25(?)"),
        (math.nan, 0.1, ABSENT),
        (None, None, ABSENT),
    ],
)
def test_errors_stand_in_the_last_digits(value: float | None, error: float | None, text: str) -> None:
    assert compact(value, error) == text


@pytest.mark.parametrize("error", [3.04e-5, 0.00996, 0.0995, 0.31, 0.9949, 1.05, 7.7, 44.0, 310.0])
@pytest.mark.parametrize("value", [-812.71234567, 0.0123456, 3.14159])
def test_what_is_printed_is_within_rounding_of_what_was_given(value: float, error: float) -> None:
    text = compact(value, error)
    shown, _, bracket = text.rstrip(")").partition("(")
    decimals = len(shown.partition(".")[2])
    read = float(bracket) if "." in bracket else float(bracket) * 10.0**-decimals
    assert read == pytest.approx(error, rel=0.051)
    assert abs(float(shown.replace("−", "-")) - value) <= 0.06 * error


@pytest.mark.parametrize("error", [3e-8, 3e-6, 3e-5])
@pytest.mark.parametrize("value", [0.0012, 1.2e-4, 9.9e-5, 1.2e-6])
def test_numbers_of_one_size_are_written_in_one_way(value: float, error: float) -> None:
    """0.0012 stood beside 1.2e−03 in one column, as their errors were of other sizes."""
    error = min(error, value / 2)
    assert ("e" in compact(value, error)) == ("e" in plain(value)) == ("e" in compact(value)) == (value < 1e-4)


def test_counts_durations_and_pulls() -> None:
    assert count(1234567) == "1\u202f234\u202f567"
    assert count(None) == plain(None) == duration(None) == signed(math.nan) == ABSENT
    assert [duration(s) for s in (3.1e-10, 2e-5, 0.5, 59.9, 60.0, 3600.0)] == [
        "0.31 ns",
        "20 µs",
        "500 ms",
        "59.9 s",
        "1 min 0 s",
        "1 h 0 min",
    ]
    assert [signed(p) for p in (3.14, -3.14, -0.01)] == ["+3.1", "−3.1", "0.0"]


def test_truth_values_strings_and_nan_are_no_numbers() -> None:
    assert is_number(1)
    assert is_number(1.5)
    assert not any(map(is_number, (True, "1", None, math.nan, math.inf, [1.0])))
