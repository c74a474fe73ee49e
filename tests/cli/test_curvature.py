import json

import pytest

FAST = ("--probes", 1, "--iterations", 4, "--top", 2, "--batch-size", 4)


def test_spectra_are_kept_and_drawn(cli, trained, images):
    result = cli("curvature", trained, "--data", images, *FAST)
    assert result.exit_code == 0, result.output
    measured = json.loads((trained / "curvature.json").read_text())
    assert set(measured["players"]) == {"generator", "discriminator"}
    assert (measured["split"], measured["images"], measured["step"]) == ("train", 4, 10)
    assert len(measured["players"]["generator"]["top_eigenvalues"]) == 2
    assert 0 <= measured["game"]["rotation"] <= 1
    assert (trained / "curvature.png").read_bytes().startswith(b"\x89PNG")
    assert "Rotation of the game between generator and discriminator" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--probes", 0), "must be 1 or more; received 0"),
        (("--batches", 0), "batches and batch size must be 1 or more"),
        (("--split", "tset"), "did you mean 'test'"),
    ],
)
def test_wrong_requests_are_one_sentence(cli, trained, arguments, said):
    result = cli("curvature", trained, *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
