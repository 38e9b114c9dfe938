"""`embed` and `embed_vectors`: distances, coordinates and vectors that other plugins take."""

import re

import biom
import numpy as np
import pandas as pd
import pytest
from q2_types.feature_data import DNAFASTAFormat
from skbio import DistanceMatrix

from q2_aam.actions.embed import embed, embed_vectors
from q2_aam.encoder import ordination
from q2_aam.encoder.encoder import Encoder
from q2_aam.framework import Artifact, ValidationError, qiime2
from q2_aam.predictor import Predictor
from q2_aam.study.study import read_study
from q2_aam.types import AAMVectorsFormat

from .small import run_predict, shuffled


def run(function, study, **changes):
    return function(**{"table": study.table, "sequences": study.sequences, "threads": 1, **changes})


def matrix(distances):
    return DistanceMatrix.read(str(distances))


@pytest.fixture(scope="module")
def placed(study):
    """By the ready encoder."""
    return run(embed, study)


def expected_of(study, encoder):
    read = read_study(study.table, str(study.directory / "sequences.fasta"), max_length=encoder.max_length)
    return encoder.embed(read)


def test_the_ready_encoder_places_samples_without_a_phylogeny(study, placed):
    vectors, distances, coordinates = placed
    embedding = expected_of(study, Encoder.ready())
    assert list(vectors.index) == list(study.table.ids())
    np.testing.assert_allclose(vectors.to_numpy(), embedding.samples, rtol=1e-6)
    assert [vectors.columns[0], vectors.columns[-1]] == ["presence_1", f"share_{vectors.shape[1] // 2}"]
    found = matrix(distances)
    assert list(found.ids) == list(study.table.ids())
    np.testing.assert_allclose(found.data, embedding.distances(), atol=1e-6)
    assert list(coordinates.samples.index) == list(found.ids) and coordinates.samples.shape[1] == 10


def test_coordinates_are_those_of_scikit_bio(placed):
    from skbio.stats.ordination import pcoa

    with pytest.warns(RuntimeWarning, match="negative"):
        expected = pcoa(matrix(placed[1]))
    found = placed[2]
    np.testing.assert_allclose(found.eigvals, expected.eigvals[:10], rtol=1e-4)
    np.testing.assert_allclose(found.samples.abs(), expected.samples.iloc[:, :10].abs(), atol=1e-3)


def test_what_comes_out_are_artifacts(placed, tmp_path):
    for semantic_type, view in zip(("SampleData[AAMEmbedding]", "DistanceMatrix", "PCoAResults"), placed, strict=True):
        artifact = Artifact.import_data(semantic_type, view)
        artifact.validate("max")
        if view is placed[0]:
            metadata = artifact.view(qiime2.Metadata)
            assert list(metadata.ids) == list(view.index)
            np.testing.assert_allclose(metadata.to_dataframe().to_numpy(), view.to_numpy(), rtol=1e-6)


def test_blocks_give_the_whole_matrix(study, encoder, monkeypatch):
    whole = matrix(run(embed, study, model=encoder)[1])
    monkeypatch.setattr(ordination, "ROWS", 7)
    parts = matrix(run(embed, study, model=encoder)[1])
    np.testing.assert_allclose(parts.data, whole.data, atol=2e-6)
    assert (parts.data == parts.data.T).all() and not parts.data.diagonal().any()


def test_order_of_samples_and_features_changes_nothing(study, placed):
    vectors, distances, _ = run(embed, study, table=shuffled(study.table))
    pd.testing.assert_frame_equal(vectors.loc[placed[0].index], placed[0], atol=1e-5)
    found, expected = matrix(distances), matrix(placed[1])
    np.testing.assert_allclose(found.filter(expected.ids).data, expected.data, atol=1e-5)


def test_weighted_distances_are_of_encoders_that_have_learnt_them(study, encoder, weighted_encoder, placed):
    found = matrix(run(embed, study, metric="weighted_normalized")[1])
    np.testing.assert_allclose(found.data, expected_of(study, Encoder.ready()).weighted_distances(), atol=1e-6)
    assert np.abs(found.data - matrix(placed[1]).data).max() > 0.1
    with pytest.raises(ValueError, match=re.escape(
        "metric is 'weighted_normalized', but the encoder has learnt unweighted UniFrac alone. Take unweighted, or an "
        "encoder that has learnt weighted_normalized UniFrac."
    )):  # fmt: skip
        run(embed, study, model=encoder, metric="weighted_normalized")
    alone = Encoder.load(str(weighted_encoder))
    found = matrix(run(embed, study, model=weighted_encoder)[1])
    np.testing.assert_allclose(found.data, expected_of(study, alone).distances(), atol=1e-6)
    with pytest.raises(ValueError, match="has learnt weighted_normalized UniFrac alone"):
        run(embed, study, model=weighted_encoder, metric="unweighted")


def test_a_fitted_model_says_how_near_its_training_samples_are(study, regressor):
    vectors, distances, _ = run(embed, study, model=regressor[0])
    novelty = run_predict(study, regressor[0])[2]
    for column in ("nearest_distance", "nearest_percentile"):
        np.testing.assert_allclose(vectors[column], novelty[column], rtol=1e-6)
    embedding = expected_of(study, Predictor.load(str(regressor[0])).encoder)
    np.testing.assert_allclose(matrix(distances).data, embedding.distances(), atol=1e-6)
    assert "nearest_distance" not in run(embed, study)[0]


def test_vectors_of_asvs_go_by_the_features(study, encoder):
    sample_vectors, vectors = run(embed_vectors, study, model=encoder)
    pd.testing.assert_frame_equal(sample_vectors, run(embed, study, model=encoder)[0])
    assert set(vectors.index) == set(study.table.remove_empty("observation", inplace=False).ids("observation"))
    loaded = Encoder.load(str(encoder))
    for feature in list(vectors.index[:3]):
        table = biom.Table(np.ones((1, 1)), [feature], ["alone"])
        alone = read_study(table, {feature: study.sequence_of[feature]}, max_length=loaded.max_length)
        np.testing.assert_allclose(vectors.loc[feature], loaded.embed_asvs(alone)[0], atol=1e-5)
    artifact = Artifact.import_data("FeatureData[AAMEmbedding]", vectors)
    assert list(artifact.view(qiime2.Metadata).ids) == list(vectors.index)


def test_features_of_one_sequence_have_one_vector(study, encoder):
    feature = study.table.ids("observation")[0]
    ids = [*study.table.ids("observation"), "twin"]
    counts = np.vstack([study.table.matrix_data.toarray(), np.ones(study.table.shape[1])])
    text = (study.directory / "sequences.fasta").read_text() + f">twin\n{study.sequence_of[feature]}\n"
    sequences = DNAFASTAFormat()
    sequences.path.write_text(text)
    vectors = run(embed_vectors, study, table=biom.Table(counts, ids, study.table.ids()), sequences=sequences)[1]
    assert vectors.loc["twin"].equals(vectors.loc[feature].rename("twin"))


def test_reverse_complements_are_refused_or_turned_round(study, regressor):
    turned = DNAFASTAFormat()
    pairs = str.maketrans("ACGT", "TGCA")
    turned.path.write_text(
        "".join(f">{name}\n{text.translate(pairs)[::-1]}\n" for name, text in study.sequence_of.items())
    )
    with pytest.raises(ValueError, match="reverse complements"):
        run(embed, study, model=regressor[0], sequences=turned)
    mended = run(embed, study, model=regressor[0], sequences=turned, foreign="mend")
    pd.testing.assert_frame_equal(mended[0], run(embed, study, model=regressor[0])[0], atol=1e-6)
    with pytest.warns(UserWarning, match="ASVs were turned round"):
        vectors = run(embed_vectors, study, model=regressor[0], sequences=turned, foreign="mend")[1]
    pd.testing.assert_frame_equal(vectors, run(embed_vectors, study, model=regressor[0])[1], atol=1e-6)


def test_numbers_of_samples_that_have_no_matrix(study, encoder, monkeypatch):
    one = study.samples(study.table.ids()[:1])
    with pytest.raises(ValueError, match=re.escape(
        "The table has 1 sample, and distances are between samples. Add samples, or take `qiime aam embed-vectors`."
    )):  # fmt: skip
        run(embed, study, table=one, model=encoder)
    assert len(run(embed_vectors, study, table=one, model=encoder)[0]) == 1
    many = biom.Table(np.ones((1, 12_000)), ["ACGT"], [f"s{n}" for n in range(12_000)])
    with pytest.raises(ValueError, match=re.escape(
        "The distances between 12000 samples would be 144 million numbers, a file of 1.3 GB; at most 10000 samples "
        "are taken. Take a part of them (`qiime feature-table filter-samples`), or vectors alone (`qiime aam "
        "embed-vectors`)."
    )):  # fmt: skip
        embed(many)


def test_ids_that_no_matrix_can_have():
    table = biom.Table(np.ones((1, 3)), ["ACGT"], ["#1", "b ", "c"])
    with pytest.raises(ValueError, match=re.escape(
        "2 of 3 sample IDs begin with # or have blanks around them, which no distance matrix can have: #1, b . Rename"
    )):  # fmt: skip
        embed(table)


def test_two_samples_and_samples_that_are_all_alike(study, encoder):
    two = study.samples(study.table.ids()[:2])
    assert run(embed, study, table=two, model=encoder)[2].samples.shape == (2, 2)
    alike = biom.Table(np.ones((2, 4)), study.table.ids("observation")[:2], list("abcd"))
    _, distances, coordinates = run(embed, study, table=alike, model=encoder)
    assert not matrix(distances).data.any()
    Artifact.import_data("PCoAResults", coordinates).validate("max")
    assert np.isfinite(coordinates.samples.to_numpy()).all() and np.isfinite(coordinates.proportion_explained).all()


def test_approximate_coordinates_are_the_same_again_and_leave_the_generator_alone(placed, monkeypatch):
    ids, distances = list(placed[0].index), matrix(placed[1]).data
    exact = ordination.principal_coordinates(ids, distances)
    monkeypatch.setattr(ordination, "EXACT", 10)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    found, again = (ordination.principal_coordinates(ids, distances) for _ in range(2))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    pd.testing.assert_frame_equal(found.samples, again.samples)
    np.testing.assert_allclose(found.samples.iloc[:, :2].abs(), exact.samples.iloc[:, :2].abs(), atol=0.02)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("id\n", "line 1 must have a name for the IDs, then one for each dimension"),
        ("id\tx\tx\na\t1\t2\n", "line 1 must have a name for the IDs, then one for each dimension"),
        ("id\tx\n", "has a header, but no rows"),
        ("id\tx\na\tnan\n", "line 2, column x: 'nan' is not a finite number"),
        ("id\tx\na\t1\na\t2\n", "line 3: the ID 'a' stands in line 2 already"),
        ("id\tx\n a\t1\n", "line 2: ' a' is no ID"),
    ],
)
def test_files_that_are_no_vectors(text, sentence, tmp_path):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        AAMVectorsFormat(str(tmp_path / "x.tsv"), "r").validate("max")
