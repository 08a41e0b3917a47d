"""AutoKeras on PyTorch: `ImageClassifier`, trials until time is up, the best of them."""

import contextlib
import os
import time

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
from common import arguments, finish, left, read

SHARE_FOR_TRAINING = 0.9
MOST_TRIALS = 100


class OutOfTimeError(Exception):
    """Raised within a training whose time is up."""


def main() -> None:
    given = arguments()
    import autokeras
    import keras

    end = time.monotonic() + SHARE_FOR_TRAINING * left(given)

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, *_, **__):
            if time.monotonic() > end:
                raise OutOfTimeError

    images, labels, test = read(given)
    search = autokeras.ImageClassifier(max_trials=MOST_TRIALS, overwrite=True, directory=str(given.out / "trials"), seed=0)
    with contextlib.suppress(OutOfTimeError):
        search.fit(images, labels, callbacks=[Clock()], verbose=0)
    n_trials = len(search.tuner.oracle.trials)
    fitted = time.monotonic()
    predicted = search.predict(test, verbose=0)
    finish(given, np.asarray(predicted).reshape(len(test)), fitted=fitted, note=f"{n_trials} trials begun")


if __name__ == "__main__":
    main()
