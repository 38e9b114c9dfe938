"""Sequences that a model cannot judge, whatever the reason: refused by sample, or mended where that is exact."""

from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.plausibility import foreign_caution
from q2_aam.study.beginnings import Beginning, beginning_caution, turn_round
from q2_aam.study.communities import Communities
from q2_aam.study.tables import refuse_alike
from q2_aam.study.trims import Lengths, cut_longer, mixture_caution, other_trim_caution, refuse_cut, refuse_short


def cautions_to_learn(encoder: Encoder | None, communities: Communities, foreign: str) -> tuple[str, ...]:
    """What is to be said of sequences before something is learnt of them; without an encoder, of how they were cut.

    Raises
    ------
    ValueError
        With that, if ``foreign`` is 'error' and it is no accident; if all samples hold the same.
    """
    refuse_alike(communities.counts)
    return _cautions(encoder, communities, foreign)


def _cautions(encoder: Encoder | None, communities: Communities, foreign: str) -> tuple[str, ...]:
    """As :func:`cautions_to_learn`, of samples that may be alike: they can be placed, though nothing learnt of them."""
    found = [
        beginning_caution(communities, Beginning.of(communities), foreign, learnt=True),
        mixture_caution(communities, foreign),
    ]
    if foreign == "error":
        refuse_cut(communities)
        refuse_short(communities)
    if encoder is not None:
        # That some begin elsewhere than the others is known by now.
        found.append(foreign_caution(encoder, communities, foreign, elsewhere="ignore"))
    return tuple(filter(None, found))


def judged_alone(
    encoder: Encoder, communities: Communities, foreign: str
) -> tuple[Communities, tuple[str, ...]]:
    """As :func:`judged`, where there are no sequences that were learnt from but those of the encoder.

    ``mend`` turns round what begins as the others do from its other end.
    """
    turned = None
    if foreign == "mend":
        communities, turned = turn_round(communities, Beginning.of(communities))
    said = _cautions(encoder, communities, "ignore" if foreign == "ignore" else "error")
    return communities, tuple(filter(None, (turned, *said)))


def judged(
    encoder: Encoder, communities: Communities, beginning: Beginning | None, lengths: Lengths | None, foreign: str
) -> tuple[Communities, tuple[str, ...]]:
    """Communities to predict, mended if that is asked for, and what is to be said of their sequences.

    Parameters
    ----------
    encoder : Encoder
        Is asked where it is not known how the sequences begin that the predictor has learnt from.
    communities : Communities
    beginning, lengths : Beginning and Lengths, optional
        Of the sequences that the predictor has learnt from; those of earlier q2-aam do not know them.
    foreign : {'error', 'mend', 'ignore'}
        ``mend`` turns reverse complements round and cuts longer sequences to the length that was learnt; what is left
        is refused, as with ``error``.

    Raises
    ------
    ValueError
        Unless ``foreign`` is 'ignore', if there are samples of foreign sequences, or of another trim.
    """
    said, strict = [], "ignore" if foreign == "ignore" else "error"
    if beginning is None:
        said.append(foreign_caution(encoder, communities, strict))
    elif foreign == "mend":
        communities, turned = turn_round(communities, beginning)
        said.append(turned)
    if beginning is not None:
        said.append(beginning_caution(communities, beginning, strict, mend=foreign == "error"))
    if lengths is not None:
        if foreign == "mend":
            communities, cut = cut_longer(communities, lengths)
            said.append(cut)
        said.append(other_trim_caution(communities, lengths, foreign))
    if foreign == "error":
        refuse_cut(communities)
    return communities, tuple(filter(None, said))
