"""Recognise digits with PyTorch in several processes, which share each batch.

Run it again and again: `torchrun --nproc-per-node 2 distributed_pytorch.py http://127.0.0.1:8000`. The batch
sizes are those of all processes together. It needs torch and scikit-learn.
"""

from __future__ import annotations

import sys

import torch
from sklearn.datasets import load_digits
from torch import distributed, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset, random_split

import batchbandit
from batchbandit.integrations.pytorch import loader
from batchbandit.learning_rate import scale

JOB = batchbandit.JobSpec(
    job_id="distributed-digits",
    batch_sizes=[16, 32, 64, 128],
    default_batch_size=32,
    target_metric=0.95,
    max_epochs=30,
)


def main(url: str) -> None:
    """Train once, and print on each rank what came of it."""
    distributed.init_process_group("gloo")
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    digits = TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels))
    training, validation = random_split(digits, [0.8, 0.2])
    model = DistributedDataParallel(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)  # for batches of the default size
    with batchbandit.trial(url, JOB) as trial:
        scale(optimizer, JOB.default_batch_size, trial.batch_size)
        batches = loader(training, trial)
        for _ in trial.epochs():
            for images, labels in batches:
                optimizer.zero_grad()
                cross_entropy(model(images), labels).backward()
                optimizer.step()
            with torch.no_grad():
                images, labels = validation[:]
                trial.report(float((model(images).argmax(1) == labels).float().mean()))
    rank = f"Rank {trial.ranks.rank} of {trial.ranks.size}, {trial.per_device_batch_size} of each batch."
    print(f"{rank} Batch size {trial.batch_size}, converged: {trial.converged}. {trial.message}", flush=True)
    distributed.barrier()  # else gloo's threads may still hold tensors when Python ends, and abort it
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
