from types import SimpleNamespace

import pytest

from q2_aam.actions._models import describe_new_to
from q2_aam.data.communities import asv_hashes
from tests import tiny


@pytest.mark.parametrize("read", [36, 30, 0])
def test_how_much_the_encoder_has_never_read_is_told(read):
    communities = tiny.survey()
    encoder = SimpleNamespace(seen_asvs=asv_hashes(communities.tokens[:read]))
    counts = communities.counts.toarray()
    share = counts[:, read:].sum() / counts.sum()
    told = f"Of these ASVs the encoder had never read {36 - read}, which hold {share:.1%} of the reads."
    assert describe_new_to(encoder, communities) == (
        "The encoder has read all of these ASVs before." if read == 36 else told
    )
