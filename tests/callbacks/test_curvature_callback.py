"""The callback that logs curvature."""

import numpy as np
import pytest
import tensorflow as tf

import keras_gen as kg

IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 4, 4, 1)).astype("float32")


def test_writes_every_few_epochs(tmp_path):
    networks = (kg.networks.dense_encoder((4, 4, 1), 2, (6,)), kg.networks.dense_decoder((4, 4, 1), 2, (6,)))
    model = kg.VAE(*networks, 2, seed=1)
    model.compile()
    callback = kg.callbacks.Curvature(tmp_path, [IMAGES], every=2, probes=1, iterations=4, top=1)
    model.fit(IMAGES, epochs=4, batch_size=8, verbose=0, callbacks=[callback])
    found = {}
    for file in sorted(tmp_path.iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.tensor
    assert set(found["curvature/model_top_eigenvalue"]) == {2, 4}
    assert set(found["curvature"]) == {2, 4}
    assert "curvature/rotation" not in found
    last = float(tf.make_ndarray(found["curvature/model_top_eigenvalue"][4]))
    hessian = kg.curvature.players.PlayersCurvature(model, [IMAGES]).hessians["model"]
    assert last == pytest.approx(hessian.eigenvalues(1)[0], rel=1e-3)


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="every must be 1 or more"):
        kg.callbacks.Curvature(tmp_path, [IMAGES], every=0)
