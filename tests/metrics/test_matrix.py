"""Two models on two sites, worked by hand; entity types PER and LOC.

                    north                       south
north's model   PER 3 0 1, LOC 1 0 1        PER 1 1 1, LOC 0 2 2       tp fp fn
south's model   PER 0 0 4, LOC 1 1 1        PER 2 0 0, LOC 2 0 0
"""

import pytest

from fedner.metrics import Counts, CrossSiteMatrix, MatrixCell, MatrixRow, first_sites, own_and_others, pooled_counts

CELLS = {
    "north": {"north": Counts((3, 1), (0, 0), (1, 1)), "south": Counts((1, 0), (1, 2), (1, 2))},
    "south": {"north": Counts((0, 1), (0, 1), (4, 1)), "south": Counts((2, 2), (0, 0), (0, 0))},
}


def row(model: str) -> MatrixRow:
    cells = {site: MatrixCell({0: counts}) for site, counts in CELLS[model].items()}
    by_seed = {site: {0: counts} for site, counts in CELLS[model].items()}
    pooled = MatrixCell(pooled_counts(by_seed, ["north", "south"]))
    return MatrixRow(model=f"local/{model}", arm="local", site=model, pooled=pooled, cells=cells)


@pytest.fixture
def matrix() -> CrossSiteMatrix:
    return CrossSiteMatrix(("north", "south"), (), ("PER", "LOC"), (row("north"), row("south")))


def test_a_cell_is_divided_from_its_own_counts(matrix):
    # 2 tp / (2 tp + fp + fn): north's model 8 / (8 + 0 + 2) at home, 2 / (2 + 3 + 3) away; south's 8/8 and 2/8.
    found = [[row.cells[site].f1 for site in matrix.sites] for row in matrix.rows]
    assert found == [[0.8, 0.25], [0.25, 1.0]]
    assert [row.cells["north"].support for row in matrix.rows] == [6, 6]


def test_the_pooled_column_adds_the_counts_and_divides_once(matrix):
    # north's model: tp 5, fp 3, fn 5 -> 10 / 18, which is not the mean of 0.8 and 0.25; south's: 5, 1, 5 -> 10 / 16.
    assert [row.pooled.f1 for row in matrix.rows] == pytest.approx([10 / 18, 10 / 16])
    assert matrix.rows[0].pooled.counts[0] == Counts((4, 1), (1, 2), (2, 3))


def test_several_seeds_are_averaged_after_dividing():
    # 2 / 2 and 2 / 4; the counts added up would give 4 / 6.
    cell = MatrixCell({0: Counts((1,), (0,), (0,)), 3: Counts((1,), (1,), (1,))})
    assert cell.f1 == 0.75


def test_at_home_and_away_are_means_over_models(matrix):
    assert own_and_others(matrix, "local") == pytest.approx(((0.8 + 1.0) / 2, 0.25))
    assert own_and_others(matrix, "fine_tuned") is None


def test_the_first_sites_keep_their_own_models_only(matrix):
    cut = first_sites(matrix, 1)
    assert (cut.sites, [row.site for row in cut.rows], list(cut.rows[0].cells)) == (("north",), ["north"], ["north"])
    assert cut.rows[0].pooled == matrix.rows[0].pooled


def test_what_is_written_is_read_again(matrix):
    plain = matrix.to_json()
    assert CrossSiteMatrix.from_json(plain) == matrix
    cell = plain["rows"][0]["sites"]["south"]
    assert cell["support"] == 4
    told = {"PER": [1, 1, 1], "LOC": [0, 2, 2]}
    assert cell["seeds"]["0"] == {"f1": 0.25, "tp": 1, "fp": 3, "fn": 3, "types": told}


def test_a_cell_without_a_run_is_refused(matrix):
    plain = matrix.to_json()
    plain["rows"][0]["pooled"]["seeds"] = {}
    with pytest.raises(ValueError, match="no run"):
        CrossSiteMatrix.from_json(plain)
