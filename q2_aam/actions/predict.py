"""`predict`: a metadata column of new samples, whose ASVs need never have been seen."""

import warnings

import biom
import numpy as np
import pandas as pd
from q2_types.feature_data import DNAFASTAFormat

from q2_aam.actions._inputs import condition_of, drawn, fasta_sequences
from q2_aam.actions._reporting import readable_warnings, say
from q2_aam.framework import qiime2
from q2_aam.settings import Prediction, Reading, Runtime
from q2_aam.types import AAMModelDirectoryFormat


def predict(
    table: biom.Table,
    model: AAMModelDirectoryFormat,
    sequences: DNAFASTAFormat = None,
    conditioning: qiime2.Metadata = None,
    sampling_depth: int = Reading.sampling_depth,
    missing_features: str = Reading.missing_features,
    batch_size: int = Prediction.batch_size,
    asv_cache: str = Prediction.asv_cache,
    precision: str = Prediction.precision,
    device: str = Prediction.device,
    threads: str = Prediction.threads,
    random_seed: int = Prediction.random_seed,
) -> (pd.Series, pd.DataFrame, pd.DataFrame):
    """Predict; the parameters are described where they are registered."""
    runtime = Runtime(random_seed=random_seed, precision=precision, device=device, threads=threads)

    from q2_aam.actions._outputs import certainty_frame, novelty_frame, novelty_sentence, prediction_series
    from q2_aam.encoder.device import resolve_device, resolve_precision, use_threads
    from q2_aam.model_file import load_model
    from q2_aam.prediction import predict_samples
    from q2_aam.study.communities import read_communities

    with readable_warnings(), use_threads(runtime):
        loaded = load_model(str(model))
        if loaded.target is None:
            raise ValueError("The model is an encoder, which has no target. Give it to `qiime aam fit` first.")
        table = drawn(table, sampling_depth, random_seed)
        condition = condition_of(loaded.conditioning, conditioning, table.ids())
        communities = read_communities(
            table,
            fasta_sequences(sequences),
            max_length=loaded.network.architecture.max_length,
            missing_features=missing_features,
        )
        device = resolve_device(device)
        outputs = predict_samples(
            loaded.network,
            loaded.head,
            communities,
            condition,
            batch_size=batch_size,
            token_limit=loaded.description["training"]["sampling"]["token_limit"],
            precision=resolve_precision(precision, device),
            device=device,
            asv_cache=asv_cache,
        )
        predictions = prediction_series(loaded.target, communities.sample_ids, outputs)
        # Classifiers made before there were temperatures lack theirs.
        how_sure = loaded.description["intervals"], loaded.description.get("temperature")
        certainty = certainty_frame(loaded.target, communities.sample_ids, outputs, *how_sure)
        unseen = ~np.isin(communities.hashes, loaded.seen_asvs)
        novelty = novelty_frame(communities, unseen)
        if novelty["unseen_read_share"].median() > 0.5:
            warnings.warn(
                "Most reads of most samples are in ASVs that the model had never seen. If the table is of another "
                "region of the gene or trimmed to another length than the training table, its predictions mean "
                "nothing.",
                stacklevel=2,
            )
        say(f"{len(communities)} samples predicted: {loaded.target.name}.")
        say(novelty_sentence(novelty, int(unseen.sum()), len(communities.tokens)))
    return predictions, certainty, novelty
