"""Registration with QIIME 2: types, formats, actions and their descriptions. Loads no torch."""

from q2_aam import __version__
from q2_aam.framework import Citations, Plugin
from q2_aam.registration.embedding import register_embedding
from q2_aam.registration.evaluation import register_evaluation
from q2_aam.registration.explaining import register_explaining, register_show_importance
from q2_aam.registration.harmonizing import register_harmonizing
from q2_aam.registration.learning import register_learning
from q2_aam.registration.maturing import register_maturity
from q2_aam.types import register_types

citations = Citations.load("citations.bib", package="q2_aam")

plugin = Plugin(
    name="aam",
    version=__version__,
    website="https://github.com/q2-aam/q2-aam",
    package="q2_aam",
    citations=[citations["q2aam"], citations["vaswani2017attention"]],
    short_description="Predict sample metadata from whole microbial communities.",
    description=(
        "AAM (Attention All Microbes) reads a community as a set of amplicon sequence variants: a transformer over each "
        "ASV's nucleotides, a second one over the ASVs of a sample. It learns, without labels, that distances between sample "
        "embeddings are UniFrac distances, and then predicts a metadata column of new samples, also when their ASVs were "
        "never seen before."
    ),
)

register_types(plugin)
register_learning(plugin, citations)
register_embedding(plugin, citations)
register_harmonizing(plugin, citations)
register_explaining(plugin)
register_show_importance(plugin)
register_evaluation(plugin)
register_maturity(plugin, citations)
