"""Several processes started by the real `qiime`."""

import re

from .conftest import SIZES, plain

PRETRAIN = (
    "qiime aam pretrain --i-table T.qza --i-sequences S.qza --i-phylogeny P.qza --o-model two.qza "
    f"--o-training-log two-log.qza --verbose {SIZES} --p-batch-size 8 "
)


def test_two_processes_speak_with_one_voice(survey, qiime):
    said = qiime(PRETRAIN + "--p-devices 2")
    assert said.err == ""
    lines = [line.split("  ")[0] for line in said.lines]
    assert lines[1:3] == ["epoch 1/2", "epoch 2/2"] and "Epoch " in lines[3] and len(lines) == 7
    assert str(qiime.check("two.qza").type) == "AAMModel[Encoder]"
    qiime.check("two-log.qza")


def test_an_error_in_the_processes_is_told_in_a_sentence(survey, qiime):
    """That of the gradient is met in them; a learning rate beyond reason brings it about."""
    said = qiime(PRETRAIN + "--p-devices 2 --p-learning-rate 1e30 --p-gradient-clip 0", ok=False)
    assert said.code == 1
    assert re.search(
        r"Plugin error from aam: The (loss|gradient) is not finite in epoch \d, after \d+ steps \((train|val)\)\. "
        r"Samples: ",
        plain(said.err),
    )
    assert "ChildFailedError" not in said.out + said.err
    assert "in process " in said.err, "where it was raised, with --verbose"
