import numpy as np
import torch

from fedner.data.encoding import IGNORE, Encoded
from fedner.learning.batches import collate, num_batches, owned_words, sorted_order, training_order

CPU = torch.device("cpu")


def test_a_pass_takes_every_window_once_and_depends_on_seed_epoch_and_site(encoded: Encoded) -> None:
    orders = [
        training_order(encoded, 4, *key) for key in ((0, 0, "a"), (0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b"))
    ]
    assert all(sorted(np.concatenate(order)) == list(range(encoded.num_windows)) for order in orders)
    assert {len(order) for order in orders} == {num_batches(encoded, 4)}
    flat = [np.concatenate(order).tolist() for order in orders]
    assert flat[0] == flat[1]
    assert all(flat[0] != other for other in flat[2:])


def test_windows_of_a_training_batch_are_of_similar_length(encoded: Encoded) -> None:
    order = training_order(encoded, 4, 0, 0, "a")
    padded = sum(len(batch) * int(encoded.lengths[batch].max()) for batch in order)
    in_text_order = [np.arange(at, min(at + 4, encoded.num_windows)) for at in range(0, encoded.num_windows, 4)]
    unsorted = sum(len(batch) * int(encoded.lengths[batch].max()) for batch in in_text_order)
    assert padded < 0.75 * unsorted


def test_evaluation_starts_with_the_longest_batch(encoded: Encoded) -> None:
    order = sorted_order(encoded, 4)
    assert encoded.lengths[order[0]].max() == encoded.lengths.max()
    assert sorted(np.concatenate(order)) == list(range(encoded.num_windows))


def test_a_batch_holds_the_windows_padded_at_the_end(encoded: Encoded) -> None:
    windows = np.array([3, 0, 2])
    batch = collate(encoded, windows, CPU)
    assert batch.mask is not None
    for row, window in enumerate(windows):
        ids = encoded.input_ids[encoded.starts[window] : encoded.starts[window + 1]]
        assert batch.input_ids[row].tolist() == [*ids, *[0] * (batch.input_ids.shape[1] - len(ids))]
        assert int(batch.mask[row].sum()) == len(ids)


def test_a_batch_without_padding_has_no_mask(encoded: Encoded) -> None:
    assert collate(encoded, np.array([5]), CPU).mask is None


def test_positions_targets_and_words_belong_together(encoded: Encoded) -> None:
    windows = np.array([3, 0, 2])
    batch = collate(encoded, windows, CPU)
    all_targets = encoded.labels[encoded.labels != IGNORE]
    words = owned_words(encoded, windows)
    assert batch.targets.tolist() == all_targets[words].tolist()
    first_pieces = encoded.input_ids[encoded.labels != IGNORE]
    assert batch.input_ids.flatten()[batch.positions].tolist() == first_pieces[words].tolist()
