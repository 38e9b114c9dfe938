from types import SimpleNamespace

import pytest

from q2_aam.actions._models import describe_new_to
from q2_aam.study.communities import asv_hashes
from tests import tiny


@pytest.mark.parametrize("learnt", [36, 30, 0])
def test_how_much_the_encoder_has_not_learnt_from_is_told(learnt):
    communities = tiny.survey()
    encoder = SimpleNamespace(seen_asvs=asv_hashes(communities.tokens[:learnt]))
    counts = communities.counts.toarray()
    share = counts[:, learnt:].sum() / counts.sum()
    told = f"Of these ASVs the encoder has not learnt from {36 - learnt}, which hold {share:.1%} of the reads."
    assert describe_new_to(encoder, communities) == (
        "The encoder has learnt from all of these ASVs." if learnt == 36 else told
    )
