"""Read a mixture through torch's DataLoader and torchdata's StatefulDataLoader; prints what was seen as JSON.

python read.py STORE MIXTURE
"""

import json
import sys
from collections import Counter
from itertools import islice, pairwise

from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from manifests.torch_dataset import MixtureDataset

BATCH = 4
WINDOW = 500
STORE, MIXTURE = sys.argv[1:]


def names(batch: list[dict[str, object]]) -> list[str]:
    return [f"{row['entry']}:{row['key']}" for row in batch]


def dataset(rank: int, world: int, **options: object) -> MixtureDataset:
    return MixtureDataset(STORE, MIXTURE, rank=rank, world=world, batch=BATCH, window=WINDOW, decode=False, **options)


def epoch(world: int, workers: int, begin: int = 0, number: int = 0, tail: str = "keep") -> list[list[str]]:
    """What each rank sees."""
    seen = []
    for rank in range(world):
        data = dataset(rank, world, tail=tail)
        data.resume(number, begin)
        loader = DataLoader(data, batch_size=BATCH, num_workers=workers, collate_fn=names)
        seen.append([name for batch in loader for name in batch])
    return seen


def stateful(workers: int, cut: int) -> bool:
    """Whether a loader that is stopped after some batches and another that takes its state see the whole epoch."""

    def loader() -> StatefulDataLoader:
        return StatefulDataLoader(dataset(0, 1), batch_size=BATCH, num_workers=workers, collate_fn=names)

    whole = [name for batch in loader() for name in batch]
    first = loader()
    head = [name for batch in islice(iter(first), cut) for name in batch]
    second = loader()
    second.load_state_dict(first.state_dict())
    return head + [name for batch in second for name in batch] == whole


def interleave(ranks: list[list[str]]) -> list[str]:
    """The epoch's order from what the ranks saw."""
    longest = max(len(rank) for rank in ranks)
    return [rank[step] for step in range(longest) for rank in ranks if step < len(rank)]


def main() -> None:
    configurations = [(world, workers) for world in (1, 2, 4) for workers in (0, 2)]
    orders = {f"{world}x{workers}": interleave(epoch(world, workers)) for world, workers in configurations}
    order = orders["1x0"]
    cut = len(order) // 3
    resumed = {
        f"{world}x{workers}": interleave(epoch(world, workers, begin=cut)) == order[cut:]
        for world, workers in configurations
    }
    decoded = next(iter(MixtureDataset(STORE, MIXTURE, window=WINDOW)))
    print(
        json.dumps(
            {
                "counts": Counter(order),
                "same_order": [first == second for first, second in pairwise(orders.values())],
                "resumed": resumed,
                "stateful": {f"{workers}": stateful(workers, 37) for workers in (0, 2)},
                "other_epoch_differs": interleave(epoch(1, 0, number=1)) != order,
                "drop": [len(rank) for rank in epoch(5, 0, tail="drop")],
                "repeat": [len(rank) for rank in epoch(5, 0, tail="repeat")],
                "keep": [len(rank) for rank in epoch(5, 0)],
                "sample": {
                    "messages": decoded["messages"],
                    "images": [list(image.size) for image in decoded["images"]],
                },
            }
        )
    )


if __name__ == "__main__":
    main()
