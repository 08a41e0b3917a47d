"""fastai from scratch: an xresnet18 by `fit_one_cycle`, its usual augmentations, as many epochs as there is time for."""

import time

import numpy as np
from common import arguments, finish, left, read, schemas_of_torchvision

SCHEMAS = schemas_of_torchvision()
RATE = 3e-3
SHARE_FOR_TRAINING = 0.9
LEAST_SIDE = 32


def main() -> None:
    given = arguments()
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        Learner,
        PILImage,
        RandomSplitter,
        Resize,
        accuracy,
        aug_transforms,
        xresnet18,
    )

    images, labels, test = read(given)
    side = max(LEAST_SIDE, images.shape[1])
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_x=lambda item: PILImage.create(images[item] if isinstance(item, int) else item),
        get_y=lambda row: labels[row],
        splitter=RandomSplitter(0.1, seed=0),
        item_tfms=Resize(side),
        batch_tfms=aug_transforms(do_flip=given.mirrored),
    )
    loaders = block.dataloaders(list(range(len(images))), bs=min(64, max(8, len(images) // 8)), num_workers=0)

    def trained(n_epochs: int) -> Learner:
        learner = Learner(loaders, xresnet18(n_out=loaders.c), metrics=accuracy)
        with learner.no_bar(), learner.no_logging():
            learner.fit_one_cycle(n_epochs, RATE)
        return learner

    learner = trained(1)  # the first epoch of a process is slow
    started = time.monotonic()
    learner = trained(1)
    n_epochs = int(SHARE_FOR_TRAINING * left(given) / (time.monotonic() - started))
    if n_epochs > 1:
        learner = trained(n_epochs)
    fitted = time.monotonic()
    with learner.no_bar(), learner.no_logging():
        probabilities, _ = learner.get_preds(dl=loaders.test_dl(list(test), bs=128, num_workers=0))
    names = np.array(list(loaders.vocab))
    finish(given, names[probabilities.numpy().argmax(axis=1)], fitted=fitted, note=f"{max(n_epochs, 1)} epochs")


if __name__ == "__main__":
    main()
