"""Colour preservation: the moments are matched and colour differences stay."""

import numpy as np

from keras_gen.style.color import luminance, match_colors, match_luminance, matched_colors, with_luminance


def _pictures():
    random = np.random.default_rng(0)
    mix = np.array([[0.3, 0.1, 0.0], [0.0, 0.2, 0.1], [0.05, 0.0, 0.25]])
    first = random.standard_normal((20, 30, 3)) @ mix * 0.5 - 0.1
    return np.clip(first, -1, 1).astype("float32"), random.uniform(-0.6, 0.9, (25, 15, 3)).astype("float32")


def test_match_colors_gives_mean_and_covariance():
    content, style = _pictures()
    matched, wanted = (image.reshape(-1, 3) for image in (match_colors(style, content), content))
    np.testing.assert_allclose(matched.mean(0), wanted.mean(0), atol=1e-6)
    np.testing.assert_allclose(np.cov(matched.T), np.cov(wanted.T), rtol=2e-3, atol=1e-5)


def test_match_colors_of_a_picture_with_itself_changes_nothing():
    content, _ = _pictures()
    np.testing.assert_allclose(match_colors(content, content), content, atol=1e-5)


def test_match_colors_of_a_grey_picture_stays_finite():
    content, style = _pictures()
    grey = np.repeat(style[..., :1], 3, axis=-1)
    matched = match_colors(grey, content)
    assert np.isfinite(matched).all()
    assert np.abs(matched).max() < 3


def test_each_of_a_batch_is_matched_with_a_limited_gain():
    content, style = _pictures()
    styles, contents = (np.stack([image[:15, :15], image[-15:, -15:]]) for image in (style, content))
    for matched, one, other in zip(matched_colors(styles, contents), styles, contents, strict=True):
        np.testing.assert_allclose(matched, match_colors(one, other), atol=1e-4)
    faint = 0.01 * styles
    for raised, before, wanted in zip(
        matched_colors(faint, contents, floor=0.01).numpy(), faint, contents, strict=True
    ):
        gain = np.ptp(raised, (0, 1)).max() / np.ptp(before, (0, 1)).max()
        assert 1 < gain < 10 * np.linalg.norm(wanted.std((0, 1)))  # a hundred times that without a floor


def test_match_luminance_gives_mean_and_deviation():
    content, style = _pictures()
    matched = match_luminance(style, content)
    assert matched.shape == (25, 15, 1)
    np.testing.assert_allclose(matched.mean(), luminance(content).mean(), atol=1e-5)
    np.testing.assert_allclose(matched.std(), luminance(content).std(), rtol=1e-4)


def test_luminance_is_of_bt601_and_exact_for_grey():
    np.testing.assert_allclose(luminance(np.eye(3)[None])[0, :, 0], [0.299, 0.587, 0.114], rtol=1e-6)
    np.testing.assert_allclose(luminance(np.full((2, 2, 3), -0.4)), -0.4, rtol=1e-6)


def test_with_luminance_keeps_differences_of_colour():
    content, _ = _pictures()
    wanted = np.clip(luminance(content) + 0.1, -1, 1)
    moved = with_luminance(content, wanted)
    inside = np.abs(moved).max(-1) < 1
    assert inside.mean() > 0.9
    np.testing.assert_allclose(luminance(moved)[inside], wanted[inside], atol=1e-6)
    differences = (image[..., :1] - image[..., 1:] for image in (moved, content))
    np.testing.assert_allclose(*(difference[inside] for difference in differences), atol=1e-6)
