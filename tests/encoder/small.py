"""An encoder small enough to pretrain in a moment, without QIIME 2."""

from q2_aam.settings import Architecture, Optimization, PretrainingSampling, Runtime, Training

SIZES = Architecture(dim=16, heads=2, lineages=16)


def training(epochs=1, metric="auto", random_seed=0, **sampling) -> Training:
    """Settings of a short pretraining."""
    runtime = Runtime(precision="32", device="cpu", threads=1, random_seed=random_seed)
    sampling = PretrainingSampling(**sampling)
    return Training(Optimization(epochs=epochs), sampling=sampling, runtime=runtime, metric=metric)
