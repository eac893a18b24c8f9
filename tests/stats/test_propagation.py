import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latflow.stats.estimates import ConstantSeriesError, NonFiniteSeriesError, SeriesShapeError, TooShortError
from latflow.stats.propagation import linearise, pack, require_usable


def linearised(derive, means):
    series = {name: np.stack([np.asarray(value, float)] * 2) for name, value in means.items()}
    layout, matrix = pack(series, leading=1)
    return linearise(derive, layout, matrix[0], errors=np.full(matrix.shape[1], 1e-3))


@given(a=st.floats(-3, 3), b=st.floats(0.1, 3))
def test_the_gradient_is_the_analytic_one(a, b):
    def derive(means):
        return {"product": means["a"] * means["v"][0] ** 2, "vector": np.log(means["v"]), "constant": np.array(1.5)}

    result = linearised(derive, {"a": a, "v": [b, 2.0]})
    expected = [[b**2, 2 * a * b, 0], [0, 1 / b, 0], [0, 0, 0.5], [0, 0, 0]]
    np.testing.assert_allclose(result.jacobian, expected, atol=1e-7)
    assert result.layout.split(result.values)["vector"] == pytest.approx(np.log([b, 2.0]))


def test_at_the_edge_of_its_domain_a_function_is_differentiated_from_inside():
    result = linearised(lambda m: {"f": np.sqrt(m["x"]) ** 3 + m["x"]}, {"x": 0.0})
    assert result.jacobian[0, 0] == pytest.approx(1.0, abs=0.01)


def test_where_a_function_does_not_exist_neither_does_its_gradient():
    result = linearised(lambda m: {"f": np.log(-m["x"]), "g": 2 * m["x"]}, {"x": 1.0})
    assert np.isnan(result.values[0])
    assert np.isnan(result.jacobian[0, 0])
    assert result.jacobian[1, 0] == pytest.approx(2.0)


def test_columns_must_share_their_records():
    with pytest.raises(SeriesShapeError, match="'b': \\(2, 9\\)"):
        pack({"a": np.zeros((2, 10)), "b": np.zeros((2, 9))}, leading=2)
    with pytest.raises(SeriesShapeError):
        pack({"a": np.zeros(10)}, leading=2)
    with pytest.raises(SeriesShapeError):
        pack({}, leading=2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_broken_record_is_found_and_its_column_named(bad):
    vector = np.random.default_rng(0).normal(size=(2, 50, 3))
    vector[1, 17, 2] = bad
    layout, matrix = pack({"fine": vector[..., 0], "vector": vector}, leading=2)
    with pytest.raises(NonFiniteSeriesError, match=r"vector\[2\]: 1 of 100 records"):
        require_usable(layout, matrix)


def test_constant_and_short_columns_are_refused():
    noise = np.random.default_rng(0).normal(size=(2, 50))
    with pytest.raises(ConstantSeriesError, match=r"still: 0.25 in all 100 records"):
        require_usable(*pack({"noise": noise, "still": np.full((2, 50), 0.25)}, leading=2))
    with pytest.raises(TooShortError, match="7; allowed: at least 8"):
        require_usable(*pack({"noise": noise[:, :7]}, leading=2))
    with pytest.raises(TooShortError):
        require_usable(*pack({"noise": noise[:0]}, leading=2))
