"""Sequences that a model cannot judge, whatever the reason: refused by sample, or mended where that is exact."""

from q2_aam.encoder.encoder import Encoder
from q2_aam.encoder.plausibility import foreign_caution, turn_round
from q2_aam.study.communities import Communities
from q2_aam.study.trims import Lengths, cut_longer, mixture_caution, other_trim_caution


def cautions_to_learn(encoder: Encoder | None, communities: Communities, foreign: str) -> tuple[str, ...]:
    """What is to be said of sequences before something is learnt of them; without an encoder, of their lengths alone.

    Raises
    ------
    ValueError
        With that, if ``foreign`` is 'error' and it is no accident.
    """
    found = [mixture_caution(communities, foreign)]
    if encoder is not None:
        found.append(foreign_caution(encoder, communities, foreign))
    return tuple(filter(None, found))


def judged(
    encoder: Encoder, communities: Communities, learnt: Lengths | None, foreign: str
) -> tuple[Communities, tuple[str, ...]]:
    """Communities to predict, mended if that is asked for, and what is to be said of their sequences.

    Parameters
    ----------
    encoder : Encoder
    communities : Communities
    learnt : Lengths, optional
        Lengths of the sequences that the predictor has learnt from, where they are known.
    foreign : {'error', 'mend', 'ignore'}
        ``mend`` turns reverse complements round and cuts longer sequences to the length that was learnt; what is left
        is refused, as with ``error``.

    Raises
    ------
    ValueError
        Unless ``foreign`` is 'ignore', if there are samples of foreign sequences, or of another trim.
    """
    said = []
    if foreign == "mend":
        communities, turned = turn_round(encoder, communities)
        said.append(turned)
        if learnt is not None:
            communities, cut = cut_longer(communities, learnt)
            said.append(cut)
    # The other strand, or another start, is a better explanation of a length than a trim: first what the encoder says.
    strict = "ignore" if foreign == "ignore" else "error"
    said.append(foreign_caution(encoder, communities, strict, mend=foreign == "error"))
    if learnt is not None:
        said.append(other_trim_caution(communities, learnt, foreign))
    return communities, tuple(filter(None, said))
