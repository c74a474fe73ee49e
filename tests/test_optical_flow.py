import numpy as np
import pytest

pytest.importorskip("cv2")

from keras_gen.optical_flow import consistency, optical_flow, warp, warp_sharply


def scene(height=120, width=160, top=0.0, left=0.0, scale=1.0):
    """A window onto a picture without borders, at any place."""
    y, x = np.mgrid[:height, :width]
    y, x = top + scale * y, left + scale * x
    parts = [np.sin(x / 5 + y / 9), np.sin(y / 6 - x / 11), np.sin((x * 1.3 + y) / 4)]
    texture = sum(np.sin(x * a + y * b + c) for a, b, c in [(0.9, 0.3, 0), (-0.4, 0.8, 1), (0.2, -1, 2)])
    return np.round(128 + 60 * np.dstack(parts) + 20 * texture[..., None] / 3).astype("uint8")


def inner(array, edge=12):
    return array[edge:-edge, edge:-edge]


@pytest.mark.parametrize("shift", [(0.0, 3.0), (-2.0, 1.5), (4.5, -4.0)])
def test_the_flow_of_a_pan(shift):
    """What is at a place now was `shift` further on in the window that has moved by so much."""
    flow = optical_flow(scene(), scene(top=-shift[0], left=-shift[1]))
    assert flow.shape == (120, 160, 2)
    error = np.abs(inner(flow) - shift)
    assert np.median(error) < 0.15


def test_the_flow_of_a_zoom():
    before = scene(scale=1.02)
    flow = optical_flow(scene(), before)
    y, x = np.mgrid[:120, :160]
    expected = np.dstack([y, x]) * (1 / 1.02 - 1)
    assert np.median(np.abs(inner(flow - expected))) < 0.15
    rebuilt = warp(before.astype("float32"), flow)
    assert (
        np.abs(inner(rebuilt - scene())).mean() < 0.3 * np.abs(inner(scene().astype(float) - before)).mean()
    )


def test_warp_takes_pixels_from_where_the_flow_points():
    image = np.arange(20, dtype="float32").reshape(4, 5, 1)
    flow = np.zeros((4, 5, 2), "float32")
    flow[..., 1] = 1
    np.testing.assert_array_equal(warp(image, flow)[..., 0], image[:, [1, 2, 3, 4, 4], 0])
    flow[..., 1], flow[..., 0] = 0, -0.5
    np.testing.assert_allclose(warp(image, flow)[1:, :, 0], (image[1:] + image[:-1])[..., 0] / 2)


def test_what_is_moved_again_and_again_stays_sharp():
    image, flow = scene().astype("float32"), np.full((120, 160, 2), 0.3, "float32")
    whole = np.full_like(flow, 3)
    np.testing.assert_allclose(warp_sharply(image, whole), warp(image, whole), atol=1e-3)
    moved = dict.fromkeys((warp, warp_sharply), image)
    for function in moved:
        for _ in range(3):  # there and back by steps between pixels: about as long as a frame lasts
            moved[function] = function(function(moved[function], flow), -flow)
    errors = [np.abs(inner(after - image)).mean() for after in moved.values()]
    assert errors[1] < errors[0] / 2


def test_consistency_is_one_there_and_back_and_zero_where_there_is_no_way():
    there = np.full((20, 30, 2), 2, "float32")
    trust = consistency(there, -there)
    np.testing.assert_array_equal(trust[:18, :28], 1)
    np.testing.assert_array_equal(trust[18:], 0)
    assert consistency(there, there)[:18, :28].max() < 0.01
    # One half at the paper's limit, d² = 0.01 (|there|² + |there - d|²) + 0.5.
    limit = max(np.roots([1 - 0.01, 0.04, -0.01 * 16 - 0.5]))
    assert consistency(there, np.float32([limit, 0]) - there)[5, 5] == pytest.approx(0.5, abs=1e-3)


def test_small_images_and_refusals():
    small = scene(10, 14)
    assert optical_flow(small, small).shape == (10, 14, 2)
    assert np.abs(optical_flow(small, small)).max() < 0.1
    with pytest.raises(ValueError, match="of one size"):
        optical_flow(small, scene(10, 15))
    with pytest.raises(ValueError, match="uint8"):
        optical_flow(small / 255, small / 255)
