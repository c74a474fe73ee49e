"""The operators of style: reference numbers, masks, and half precision."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import style

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "style.npz")
CONTENT, STYLE = REFERENCE["content"], REFERENCE["style"]


def test_gram_matrix_is_divided_by_the_number_of_pixels():
    np.testing.assert_allclose(style.gram_matrix(CONTENT), REFERENCE["gram_content"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(style.gram_matrix(STYLE), REFERENCE["gram_style"], rtol=1e-5, atol=1e-5)


def test_adain():
    np.testing.assert_allclose(style.adain(CONTENT, STYLE), REFERENCE["adain"], atol=1e-5)


def test_mean_std_loss():
    np.testing.assert_allclose(style.mean_std_loss(CONTENT, STYLE), REFERENCE["mean_std_loss"], rtol=1e-5)


def test_total_variation():
    np.testing.assert_allclose(style.total_variation(CONTENT), REFERENCE["total_variation_sum"], rtol=1e-5)


@pytest.mark.parametrize("operator", [style.gram_matrix, style.channel_moments, lambda x: style.adain(x, x)])
def test_features_of_one_image_without_a_batch_are_refused(operator):
    with pytest.raises(ValueError, match=r"\(batch, height, width, channels\); received \(4, 5, 3\)"):
        operator(np.zeros((4, 5, 3), "float32"))


def test_a_mask_takes_the_statistics_of_its_region():
    mask = np.zeros((2, 9, 8), "float32")
    mask[:, 2:6, 1:8] = 1
    region = CONTENT[:, 2:6, 1:8]
    np.testing.assert_allclose(style.gram_matrix(CONTENT, mask), style.gram_matrix(region), rtol=1e-5)
    for masked, cut in zip(style.channel_moments(CONTENT, mask), style.channel_moments(region), strict=True):
        np.testing.assert_allclose(masked, cut, rtol=1e-5)
    np.testing.assert_allclose(
        style.adain(STYLE, CONTENT, style_mask=mask), style.adain(STYLE, region), rtol=1e-4, atol=1e-5
    )


def test_adain_takes_one_style_for_a_batch_and_keeps_its_own_statistics():
    np.testing.assert_allclose(
        style.adain(CONTENT, STYLE[:1])[1], style.adain(CONTENT[1:], STYLE[:1])[0], atol=1e-5
    )
    np.testing.assert_allclose(style.adain(CONTENT, CONTENT), CONTENT, atol=1e-5)


def test_statistics_of_half_precision_features_are_float32():
    half = tf.cast(CONTENT, tf.bfloat16)
    assert style.gram_matrix(half).dtype == tf.float32
    np.testing.assert_allclose(style.gram_matrix(half), REFERENCE["gram_content"], rtol=0.02, atol=0.05)
    assert style.channel_moments(half)[0].dtype == tf.float32


def test_losses_have_one_value_an_image_and_vanish_at_the_target():
    grams = style.gram_matrix(CONTENT)
    np.testing.assert_array_equal(style.gram_loss(grams, grams), [0, 0])
    np.testing.assert_allclose(
        style.content_loss(CONTENT, CONTENT + np.float32([1, 2])[:, None, None, None]), [1, 4], rtol=1e-5
    )
    means, deviations = style.channel_moments(CONTENT)
    np.testing.assert_allclose(
        style.moments_loss((means, deviations), (means + 1, deviations - 2)), [5, 5], rtol=1e-5
    )
