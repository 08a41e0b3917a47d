"""AutoKeras on PyTorch: `ImageClassifier`, trials until half of the time is up, then its own last training of the best.

Of the three networks that it begins with the third asks for weights of a hub, which fails without a network, as it would say.
"""

import os
import time

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
from common import arguments, finish, left, read, schemas_of_torchvision

SCHEMAS = schemas_of_torchvision()
SHARE_FOR_TRIALS, SHARE_FOR_TRAINING = 0.5, 0.9
MOST_TRIALS = 100


def main() -> None:
    given = arguments()
    import autokeras
    import keras

    begun, budget = time.monotonic(), left(given)
    ends = {"now": begun + SHARE_FOR_TRIALS * budget}

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, *_, **__):
            if time.monotonic() > ends["now"]:
                self.model.stop_training = True
                search.tuner.oracle.max_trials = 1

    images, labels, test = read(given)
    search = autokeras.ImageClassifier(max_trials=MOST_TRIALS, overwrite=True, directory=str(given.out / "trials"), seed=0)
    last = search.tuner.final_fit

    def final_fit(**how):
        ends["now"] = begun + SHARE_FOR_TRAINING * budget
        return last(**{**how, "callbacks": [Clock()]})  # it hands over a list of lists, which no fit can read

    search.tuner.final_fit = final_fit
    search.fit(images, labels, callbacks=[Clock()], verbose=0)
    trials = search.tuner.oracle.trials.values()
    fitted = time.monotonic()
    predicted = search.predict(test, verbose=0)
    n_done = sum(trial.status == "COMPLETED" for trial in trials)
    finish(given, np.asarray(predicted).reshape(len(test)), fitted=fitted, note=f"{n_done} of {len(trials)} trials done")


if __name__ == "__main__":
    main()
