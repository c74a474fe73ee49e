"""Serves SavedModels as TF Serving does, in a process without Keras and keras_gen: by a session.

Arguments: pairs of a SavedModel's folder and a folder of serialized `PredictRequest`s, `*.request`, beside
each of which its outputs are written as `.npz`; those of the warm-up file as `warmup-0.npz` and so on.
"""

import sys
from pathlib import Path

sys.modules["keras"] = sys.modules["keras_gen"] = None  # importing them is an error from here on

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2  # noqa: E402


def predict(session, signatures, request):
    """The outputs of a request; as the server does, it refuses what the signature does not name."""
    signature = signatures[request.model_spec.signature_name or "serving_default"]
    assert set(request.inputs) == set(signature.inputs)
    feeds = {}
    for name, info in signature.inputs.items():
        proto = request.inputs[name]
        assert proto.dtype == info.dtype, name
        assert tf.TensorShape(info.tensor_shape).is_compatible_with(tf.TensorShape(proto.tensor_shape)), name
        feeds[info.name] = tf.make_ndarray(proto)
    fetches = {name: info.name for name, info in signature.outputs.items()}
    outputs = session.run(fetches, feeds)
    for name, info in signature.outputs.items():
        assert tf.TensorShape(info.tensor_shape).is_compatible_with(outputs[name].shape), name
    return outputs


def main(arguments):
    for model, folder in zip(arguments[::2], map(Path, arguments[1::2]), strict=True):
        with tf.compat.v1.Session(graph=tf.Graph()) as session:
            signatures = tf.compat.v1.saved_model.loader.load(session, ["serve"], model).signature_def
            for path in folder.glob("*.request"):
                request = predict_pb2.PredictRequest.FromString(path.read_bytes())
                try:
                    outputs = predict(session, signatures, request)
                except tf.errors.InvalidArgumentError as error:
                    outputs = {"error": np.array(str(error))}
                np.savez(path.with_suffix(".npz"), **outputs)
            warmup = Path(model, "assets.extra", "tf_serving_warmup_requests")
            for i, record in enumerate(tf.compat.v1.io.tf_record_iterator(str(warmup))):
                request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                outputs = predict(session, signatures, request)
                named = {"signature": np.array(request.model_spec.signature_name), **outputs}
                np.savez(folder / f"warmup-{i}.npz", model=np.array(request.model_spec.name), **named)


if __name__ == "__main__":
    main(sys.argv[1:])
