"""Contact sheets: pictures keep their pixels, objects their colours, and nothing runs out of the sheet."""

import numpy as np
from PIL import Image

from sigma_bench.runs import sheet
from sigma_bench.runs.sheet import Block, Strip


def test_pictures_are_scaled_to_one_height_and_small_ones_keep_their_pixels():
    small = np.zeros((8, 16, 3), np.uint8)
    small[2, 3] = 255
    big = sheet.fitted(small)
    assert big.shape == (sheet.HEIGHT, 2 * sheet.HEIGHT, 3)
    step = sheet.HEIGHT // 8
    assert (big[2 * step : 3 * step, 3 * step : 4 * step] == 255).all()
    assert int((big == 255).sum()) == 3 * step * step
    assert sheet.fitted(np.zeros((480, 854, 3), np.uint8)).shape == (144, 256, 3)


def test_an_overlay_tints_objects_outlines_them_and_fades_the_rest():
    frame = np.tile(np.array([100, 0, 50], np.uint8), (1, 3, 1))
    colours = np.tile(np.array([0, 200, 0], np.uint8), (1, 3, 1))
    drawn = sheet.overlaid(frame, colours, np.array([[False, False, True]]), np.array([[False, True, True]]))
    assert drawn[0, 2].tolist() == [0, 200, 0]
    assert drawn[0, 1].tolist() == [55, 90, 28]
    assert drawn[0, 0].tolist() == [70, 30, 50]


def test_a_sheet_shows_every_picture_and_has_room_for_long_words(tmp_path):
    pictures = tuple(np.full((144, 100, 3), value, np.uint8) for value in (40, 90))
    legend = tuple(((10 + i, 200, 30), f"category number {i}") for i in range(30))
    block = Block("x" * 500, (Strip(pictures, ("frame 0", "frame 1"), "plain\ncrop"),), legend)
    drawn = sheet.draw("title", [block, Block("broken", error="cannot be read " * 50)])
    for value in (40, 90):
        assert int((drawn == value).all(-1).sum()) >= 144 * 100
    for colour, _ in legend:
        rows, columns = np.nonzero((drawn == colour).all(-1))
        assert len(rows) > 50
        assert columns.max() < drawn.shape[1] - sheet.MARGIN
    assert (drawn[-sheet.MARGIN :] == 255).all()
    assert (drawn[:, -sheet.MARGIN // 2 :] == 255).all()
    sheet.write(tmp_path / "new" / "a.png", drawn)
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert np.array_equal(np.asarray(picture), drawn)
