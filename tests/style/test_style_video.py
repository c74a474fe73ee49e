import numpy as np
import pytest

pytest.importorskip("cv2")

from keras_gen.style.video import RecurrentBlend, stylized


def film(frames, step, seed=0, height=96, width=128):
    """A pan over a rough picture by whole pixels, so that the true flow needs no interpolation."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, : width + step * frames]
    rough = random.normal(0, 25, (len(y), x.shape[1], 3))
    for axis in (0, 1):
        rough = (rough + np.roll(rough, 1, axis) + np.roll(rough, -1, axis)) / 1.7
    picture = 128 + 50 * np.dstack([np.sin(x / 9), np.sin(y / 7), np.sin((x + y) / 12)]) + rough
    picture = np.clip(picture, 0, 255).astype("uint8")
    return [picture[:, step * t : step * t + width] for t in range(frames)]


def strokes(seed):
    """Paints a frame with strokes that are drawn anew each time."""
    random = np.random.default_rng(seed)

    def paint(frame):
        noise = random.normal(0, 30, frame.shape)
        return np.clip(255 - frame * 0.7 + noise, 0, 255).astype("uint8")

    return paint


def temporal_error(shown, step):
    """Root mean square of what changes along the true flow."""
    pairs = zip(shown[1:], shown, strict=False)
    squares = [np.square(a[:, :-step].astype(float) - b[:, step:]).mean() for a, b in pairs]
    return np.sqrt(np.mean(squares))


@pytest.mark.parametrize("step", [1, 5])
def test_flicker_falls_to_less_than_half_and_as_predicted(step):
    frames = film(12, step)
    alone = [strokes(t)(frame) for t, frame in enumerate(frames)]
    blend = RecurrentBlend(momentum=0.7)
    shown = [blend(frame, made) for frame, made in zip(frames, alone, strict=True)]
    ratio = temporal_error(shown[4:], step) / temporal_error(alone[4:], step)
    assert ratio < 0.5
    assert ratio > 0.3 / 1.7**0.5 - 0.05  # what the docstring promises is its bound
    np.testing.assert_array_equal(shown[0], alone[0])


def test_without_momentum_nothing_changes():
    paint, change = strokes(3), stylized(strokes(3), RecurrentBlend(0))
    for frame in film(4, 2):
        np.testing.assert_array_equal(change(frame), paint(frame))


def test_a_cut_begins_anew():
    """Nothing of the scene before is left in the first frame of the next."""
    first, second = film(3, 1), film(1, 1, seed=7)[0][::-1, ::-1]
    blend = RecurrentBlend(momentum=0.9)
    for frame in first:
        blend(frame, np.full_like(frame, 255))
    made = np.zeros_like(second)
    np.testing.assert_array_equal(blend(second, made), made)


def test_what_stands_still_is_shown_as_it_is():
    frame = film(1, 1)[0]
    blend = RecurrentBlend()
    for _ in range(3):
        np.testing.assert_array_equal(blend(frame, frame[::-1]), frame[::-1])


def test_small_changes_add_up():
    """What is kept is not rounded: a slow fade arrives."""
    frame = film(1, 1)[0]
    blend = RecurrentBlend(momentum=0.8)
    shown = [blend(frame, np.full_like(frame, level)) for level in [100] + [102] * 8]
    assert (shown[-1] == 102).all()


def test_frames_are_brought_to_a_size():
    change = stylized(lambda pixels: pixels, RecurrentBlend(), size=64)
    assert change(film(1, 1)[0]).shape == (48, 64, 3)


@pytest.mark.parametrize("arguments", [{"momentum": 1.0}, {"momentum": -0.1}, {"tolerance": 0.0}])
def test_refusals(arguments):
    with pytest.raises(ValueError, match="momentum must be"):
        RecurrentBlend(**arguments)
