from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedner.data.encoding import Encoded
from fedner.learning.training.sampling import num_batches, shuffled_epochs, training_order


def test_the_stream_is_one_shuffled_pass_after_another(encoded: Encoded) -> None:
    per_epoch = num_batches(encoded, 4)
    passes = [batch for epoch in range(3) for batch in training_order(encoded, 4, 7, epoch, "a")]
    taken = shuffled_epochs(encoded, 4, 7, "a")(0, 3 * per_epoch)
    assert [batch.tolist() for batch in taken] == [batch.tolist() for batch in passes]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 40), st.integers(0, 20), st.integers(0, 20))
def test_a_stream_cut_anywhere_goes_on_where_it_was_cut(encoded: Encoded, position: int, first: int, rest: int) -> None:
    take = shuffled_epochs(encoded, 4, 0, "a")
    whole = take(position, first + rest)
    pieces = take(position, first) + take(position + first, rest)
    assert [batch.tolist() for batch in pieces] == [batch.tolist() for batch in whole]
