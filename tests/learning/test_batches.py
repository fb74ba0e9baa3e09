import numpy as np
import torch

from fedner.data.encoding import IGNORE, Encoded
from fedner.learning.batches import collate, owned_words, pack, sorted_order
from fedner.learning.tagger.model import Tagger
from fedner.learning.training.sampling import num_batches, training_order

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


def test_packing_needs_less_room_than_padding(encoded: Encoded) -> None:
    windows = np.arange(min(16, encoded.num_windows))
    packed, padded = pack(encoded, windows, CPU, torch.float32), collate(encoded, windows, CPU)
    assert packed.input_ids.numel() < 0.75 * padded.input_ids.numel()
    assert packed.input_ids.numel() >= int(encoded.lengths[windows].sum())


def test_packed_windows_are_whole_and_each_is_there_once(encoded: Encoded) -> None:
    windows = np.array([3, 0, 2, 5, 1])
    batch = pack(encoded, windows, CPU, torch.float32)
    assert batch.position_ids is not None
    assert batch.mask is not None
    found = []
    for row, ids in enumerate(batch.input_ids):
        open_to = batch.mask[row, 0] == 0
        for start in np.flatnonzero((batch.position_ids[row] == 0).numpy()):
            mates = np.flatnonzero(open_to[start].numpy())
            if ids[start] != encoded.pad_id:
                assert mates.tolist() == list(range(start, start + len(mates)))
                assert batch.position_ids[row][mates].tolist() == list(range(len(mates)))
                found.append(ids[mates].tolist())
    wanted = [encoded.input_ids[encoded.starts[w] : encoded.starts[w + 1]].tolist() for w in windows]
    assert sorted(found) == sorted(wanted)


def test_a_packed_window_gets_the_logits_it_would_get_alone(tagger: Tagger, encoded: Encoded) -> None:
    windows = np.array([3, 0, 2, 5, 1])
    tagger.model.eval()
    batch = pack(encoded, windows, CPU, torch.float32)
    with torch.inference_mode():
        packed = tagger.model(
            input_ids=batch.input_ids, attention_mask=batch.mask, position_ids=batch.position_ids
        ).logits.flatten(0, 1)[batch.positions]
        alone = []
        for window in windows:
            single = collate(encoded, np.array([window]), CPU)
            alone.append(tagger.model(input_ids=single.input_ids).logits.flatten(0, 1)[single.positions])
    together = torch.cat(alone)
    order = packed.double().sum(dim=1).argsort()
    other = together.double().sum(dim=1).argsort()
    torch.testing.assert_close(packed[order], together[other], rtol=1e-4, atol=1e-5)


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
