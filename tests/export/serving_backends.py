"""Ways to send requests to exported models: a session in a fresh process, or TF Serving."""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import tensorflow as tf

SERVER = "tensorflow_model_server"


def predict_request(model, signature, inputs):
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


# The session.


def run_sessions(exported, requests, folder):
    """Answers {model: {request: outputs}} of requests {model: {request: (signature, inputs)}}."""
    pairs = []
    for model, each in requests.items():
        (folder / model).mkdir()
        for name, (signature, inputs) in each.items():
            content = predict_request(model, signature, inputs).SerializeToString()
            (folder / model / f"{name}.request").write_bytes(content)
        pairs += [str(exported[model]), str(folder / model)]
    script = Path(__file__).with_name("serving_session.py")
    # Not the PYTHONPATH of the tests: there is TensorFlow, and nothing of ours.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(script), *pairs], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = {}
    for model in requests:
        files = (folder / model).glob("*.npz")
        answers[model] = {path.stem: dict(np.load(path, allow_pickle=True)) for path in files}
    return answers


# TF Serving.


@contextlib.contextmanager
def serving(exported):
    """The addresses (gRPC, REST) of a server of the models; None where there is none."""
    url = os.environ.get("TF_SERVING_URL")
    if url:
        host = url.split("//")[-1].split(":")[0].rstrip("/")
        grpc_address = os.environ.get("TF_SERVING_GRPC", f"{host}:8500")
        _reload(grpc_address, exported)
        _wait(url, exported)
        yield grpc_address, url.rstrip("/")
    elif shutil.which(SERVER):
        ports = [_free_port() for _ in range(2)]
        config = next(iter(exported.values())).parent.parent / "absolute.config"
        entries = (
            f'config {{ name: "{name}" base_path: "{path.parent}" model_platform: "tensorflow" }}'
            for name, path in exported.items()
        )
        config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
        options = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_config_file={config}"]
        server = subprocess.Popen([SERVER, *options])
        try:
            url = f"http://localhost:{ports[1]}"
            _wait(url, exported)
            yield f"localhost:{ports[0]}", url
        finally:
            server.terminate()
            server.wait()
    else:
        yield None


def _free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def _reload(address, exported):
    """Has a server that sees the same file system take the exported models in place of its own."""
    import grpc
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    request = model_management_pb2.ReloadConfigRequest()
    for name, path in exported.items():
        request.config.model_config_list.config.add(
            name=name, base_path=str(path.parent), model_platform="tensorflow"
        )
    with grpc.insecure_channel(address) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        assert stub.HandleReloadConfigRequest(request, timeout=120).status.error_code == 0


def _wait(url, exported, seconds=120):
    for name in exported:
        end = time.monotonic() + seconds
        while True:
            try:
                status = json.load(urllib.request.urlopen(f"{url}/v1/models/{name}", timeout=5))
                if status["model_version_status"][0]["state"] == "AVAILABLE":
                    break
            except (OSError, KeyError):
                pass
            assert time.monotonic() < end, f"{url} does not serve {name}"
            time.sleep(0.2)


def ask_grpc(address, model, signature, inputs):
    """Outputs by name; what the server refuses is {"error": its message}."""
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            response = stub.Predict(predict_request(model, signature, inputs), timeout=120)
        except grpc.RpcError as error:
            return {"error": error.details()}
    return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}


def ask_rest(url, model, signature, inputs):
    """The same over REST, whose numbers are text and whose bytes are base64."""
    body = {"signature_name": signature, "inputs": {name: _to_json(value) for name, value in inputs.items()}}
    request = urllib.request.Request(f"{url}/v1/models/{model}:predict", json.dumps(body).encode())
    try:
        outputs = json.load(urllib.request.urlopen(request, timeout=120))["outputs"]
    except urllib.error.HTTPError as error:
        return {"error": json.load(error)["error"]}
    # One output alone comes without its name.
    named = outputs if isinstance(outputs, dict) else {"": outputs}
    return {name: _from_json(value) for name, value in named.items()}


def _to_json(value):
    if value.dtype == object:
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return value.tolist()


def _from_json(value):
    if isinstance(value[0], dict):
        return np.array([base64.b64decode(item["b64"]) for item in value], object)
    return np.array(value)
