"""The encoder that comes with the plugin: handed out, and taken where none is given."""

import numpy as np
import pytest

from q2_aam.actions.ready_encoder import ready_encoder
from q2_aam.encoder.encoder import READY, Encoder
from q2_aam.encoder.plausibility import can_tell, foreign_caution
from q2_aam.simulation.study import simulate_study
from q2_aam.study.tokenizer import reverse_complements

from .small import description, run_fine_tune, run_fit


def test_it_is_small_and_whole():
    assert sum(path.stat().st_size for path in READY.iterdir()) < 6 * 2**20
    assert {path.name for path in READY.iterdir()} == {"best_model.pt", "model.json"}
    encoder = Encoder.ready()
    # Nobody goes on with its optimizer.
    assert encoder.state == {} and encoder.metric == "unweighted" and encoder.max_length == 512


def test_the_action_hands_out_the_same():
    model = ready_encoder()
    model.validate("max")
    assert Encoder.load(str(model)).digest() == Encoder.ready().digest()


@pytest.mark.parametrize("run, more", [(run_fit, {"head": "linear"}), (run_fine_tune, {"epochs": 1})])
def test_it_is_taken_where_no_encoder_is_given(study, run, more):
    without, given = (run(study, "ph", encoder, **more) for encoder in (None, ready_encoder()))
    assert without[1].equals(given[1]) and np.isfinite(without[1]).all()
    named = description(without[0])["encoder"]
    assert named["sha256"] == description(ready_encoder())["sha256"]


def test_it_reads_simulated_sequences_and_knows_turned_ones():
    encoder, study = Encoder.ready(), simulate_study(n_samples=20, length=150)
    assert can_tell(encoder)
    assert foreign_caution(encoder, study.communities, "error") is None
    study.communities.tokens[:] = reverse_complements(study.communities.tokens)
    with pytest.raises(ValueError, match="They are the reverse complements of sequences that it knows"):
        foreign_caution(encoder, study.communities, "error")
