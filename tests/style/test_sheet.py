import numpy as np
import pytest

from keras_gen.style.sheet import labelled_sheet


def test_pictures_stand_in_rows_with_their_names_below():
    pictures = {f"name {i}": np.full((60, 80, 3), 40 * i, "uint8") for i in range(5)}
    sheet = labelled_sheet(pictures, columns=3)
    assert sheet.shape == (2 * (60 + 20 + 12) + 12, 3 * 92 + 12, 3)
    for i in range(5):
        top, left = 12 + i // 3 * 92, 12 + i % 3 * 92
        assert (sheet[top : top + 60, left : left + 80] == 40 * i).all()
        assert sheet[top + 60 : top + 80, left : left + 80].min() < 128
    assert (sheet[104:, 2 * 92 + 12 :] == 255).all()  # the sixth place is empty


def test_small_pictures_leave_room_for_names_but_not_for_any():
    picture = np.zeros((60, 40, 3), "uint8")
    for name, width in (
        ("composition-viii", (60, 119)),
        ("a very long name of a style like this", (120, 120)),
    ):
        sheet = labelled_sheet({name: picture})
        assert width[0] <= sheet.shape[1] - 24 <= width[1]
        assert (sheet[:, :12] == 255).all()
        assert (sheet[:, -12:] == 255).all()
        left = 12 + (sheet.shape[1] - 24 - 40) // 2
        assert (sheet[12:72, left : left + 40] == 0).all()


def test_refusals():
    with pytest.raises(ValueError, match="one size"):
        labelled_sheet({})
    with pytest.raises(ValueError, match="one size"):
        labelled_sheet({"a": np.zeros((2, 2, 3), "uint8"), "b": np.zeros((2, 3, 3), "uint8")})
