"""8.4: validation pictures: predicted against true with fit, R2 and 1:1 line; confusion matrix."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from q2_aam.evaluation.figures import confusion_matrix_figure, pixels, predicted_against_true


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What other tests left is collected at any time, and is not this test's.
        warnings.filterwarnings("ignore", category=ResourceWarning)
        yield


def texts(figure):
    axes = figure.axes[0]
    return [text.get_text() for text in axes.texts]


def test_regression_picture_holds_fit_r2_and_one_to_one_line():
    """8.4"""
    truth = np.array([1.0, 2.0, 3.0, 6.0])
    predicted = np.array([2.0, 2.0, 3.0, 5.0])
    figure = predicted_against_true(truth, predicted, "epoch 7", "ph")
    axes = figure.axes[0]
    assert axes.get_title() == "epoch 7\nR² = 0.857   MAE = 0.5   n = 4"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true (ph)", "predicted (ph)")
    one_to_one, fit = axes.get_lines()
    assert (one_to_one.get_xdata() == one_to_one.get_ydata()).all()
    assert one_to_one.get_linestyle() == "--"
    slope, intercept = np.polyfit(truth, predicted, 1)
    assert fit.get_ydata() == pytest.approx(slope * fit.get_xdata() + intercept)
    assert axes.collections[0].get_offsets().data.tolist() == np.column_stack([truth, predicted]).tolist()


def test_regression_picture_of_one_sample():
    figure = predicted_against_true([5.0], [5.0])
    assert figure.axes[0].get_title() == "R² = not defined   MAE = 0   n = 1"
    low, high = figure.axes[0].get_xlim()
    assert low < 5 < high


def test_confusion_picture_holds_the_counts_that_are_not_zero():
    """8.4"""
    figure = confusion_matrix_figure(["a", "a", "b", "b"], ["a", "b", "b", "b"], ["a", "b", "c"], "epoch 2")
    assert texts(figure) == ["1", "1", "2"]
    assert figure.axes[0].get_title() == "epoch 2\nbalanced accuracy = 0.750   n = 4"
    shares = np.asarray(figure.axes[0].get_images()[0].get_array())
    assert shares.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]]


def test_thirty_long_names_fit_and_dollars_are_no_formula():
    names = [f"A_rather_long_name_of_an_environment_{k}_$x$" for k in range(30)]
    figure = confusion_matrix_figure(names, names, names)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(set(labels)) == 30 and max(map(len, labels)) < 40
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(a.y0 >= b.y1 or b.y0 >= a.y1 for a, b in zip(boxes, boxes[1:], strict=False))
    assert min(box.x0 for box in boxes) >= 0


def test_pixels_are_an_image():
    image = pixels(predicted_against_true([1, 2], [1, 2]))
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert image.min() < 100 and image.max() == 255


def test_pyplot_is_not_used():
    code = (
        "import sys; from q2_aam.evaluation.figures import pixels, predicted_against_true; "
        "pixels(predicted_against_true([1, 2], [1, 2])); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
