"""The benchmark of skill: folds, scores, tables, and encoders of earlier versions."""

import json
from pathlib import Path

import biom
import numpy as np
import pandas as pd
import pytest

from q2_aam.actions.pretrain import pretrain
from tests.actions.small import RUN, SIZES, description, tampered

from .test_benchmarks import script

skill = script("skill")


def test_scores_of_further_seeds_are_added_to_those_that_are_there(skill, tmp_path, monkeypatch):
    monkeypatch.setattr(skill, "PAGES", tmp_path)
    by = ["study", "seed"]
    assert not len(skill.keep("skill", pd.DataFrame(), by)) and not (tmp_path / "skill.tsv").exists()
    first = pd.DataFrame({"study": ["b", "a"], "seed": [0, 0], "ours": [0.5, 0.25]})
    skill.keep("skill", first, by)
    again = pd.DataFrame({"study": ["a", "a"], "seed": [1, 0], "ours": [0.125, 0.75], "forest": [0.5, 0.5]})
    rows = skill.keep("skill", again, by)
    assert rows["ours"].tolist() == [0.75, 0.125, 0.5] and rows["study"].tolist() == ["a", "a", "b"]
    assert pd.read_csv(tmp_path / "skill.tsv", sep="\t").equals(rows.reset_index(drop=True))
    assert len(skill.keep("skill", pd.DataFrame(), by)) == 3
    rows = skill.keep("skill", again.drop(columns="forest").assign(ours=1), by)
    assert rows["ours"].tolist() == [1, 1, 0.5] and rows["forest"].tolist()[:2] == [0.5, 0.5]


def test_studies_that_nothing_was_chosen_on_have_a_table_and_ranks_of_their_own(skill):
    known = {"study": "soil88-ph", "target": "ph", "seed": 0, "samples": 9, "q2-aam": 0.5, "random forest": 0.6}
    other = {**known, "study": "another", "q2-aam": 0.7}
    unifrac = pd.DataFrame({"study": ["another"], "r": [0.9], "rmse": [0.1], "seed": [0], "fold": [0]})
    text = skill.page({"targets": pd.DataFrame([known, other]), "unifrac": unifrac})
    first, second = text.split("Other studies (`--study`):\n\n")
    # One seed has no spread.
    assert "| soil88-ph | ph | 1 | 0.500 | 0.600 |" in first and "| mean rank |  |  | 2.00 | 1.00 |" in first
    assert "| another | ph |" in second and "| mean rank |  |  | 1.00 | 2.00 |" in second and "0.900" in second
    assert "another" not in first and "soil88-ph" not in second
    alone = skill.page({"targets": pd.DataFrame([known]), "unifrac": pd.DataFrame()})
    assert "Other studies" not in alone


def test_the_table_of_skill_ranks_all_methods_and_shows_what_was_measured_alone(skill):
    rows = [
        {"study": "s", "target": "age", "q2-aam": 0.5, "random forest": 0.6, "covered": 0.9},
        {"study": "s", "target": "kind", "q2-aam": 0.5, "random forest": 0.4, "balanced forest": 0.45},
    ]
    scores = pd.DataFrame([row | {"seed": seed, "samples": 9} for row in rows for seed in (0, 1)])
    scores.loc[3, "q2-aam"] = 0.7
    text = skill.tables({"targets": scores, "unifrac": pd.DataFrame()})
    assert text.splitlines()[2:] == [
        "| s | age | 2 | 0.500 ± 0.000 | 0.600 ± 0.000 |  | 0.900 |  |  |",
        "| s | kind | 2 | 0.600 ± 0.141 | 0.400 ± 0.000 | 0.450 ± 0.000 |  |  |  |",
        # of numbers both forests are one: ranks 3, 1.5 and 1.5
        "| mean rank |  |  | 2.00 | 2.25 | 1.75 |  |  |  |",
        "",
        "q2-aam where it does worst: less the random forest -0.100, less the balanced forest -0.100.",
    ]
    waiting = pd.concat([scores, scores.assign(seed=2, **{"q2-aam": np.nan, "random forest": 0.9})])
    assert skill.tables({"targets": waiting, "unifrac": pd.DataFrame()}) == text
    assert skill.tables({"targets": waiting[waiting["seed"] == 2], "unifrac": pd.DataFrame()}) == ""
    alone = scores.drop(columns=["random forest", "balanced forest"]).assign(**{"random forest": np.nan})
    text = skill.tables({"targets": alone, "unifrac": pd.DataFrame()})
    assert "nan" not in text and "forest" not in text and "worst" not in text
    without = scores[scores["target"] == "age"].drop(columns="balanced forest")
    assert "less the random forest -0.100.\n" in skill.tables({"targets": without, "unifrac": pd.DataFrame()})


def test_a_baseline_that_some_folds_lack_has_no_score(skill, tmp_path):
    """As it is where the folds were begun with `--ours`."""
    for fold in range(skill.FOLDS):
        folder = tmp_path / "study" / "seed-0" / f"fold-{fold}"
        folder.mkdir(parents=True)
        (folder / "facts.json").write_text('{"unifrac": {"r": 0.9, "rmse": 0.1, "samples": 2}}')
        age = pd.DataFrame({"true": [1.0, 2.0], "q2-aam": [1.0, 2.0], "lower": 0.0, "upper": 1.5, "group": ["a", "b"]})
        kind = pd.DataFrame({"true": ["a", "b"], "q2-aam": ["a", "b"], "probability": 0.9, "group": ["a", "b"]})
        kind["likeliest"] = "a"
        for name, frame in (("age", age), ("kind", kind)):
            frame["median" if name == "age" else "largest class"] = frame["true"]
            if fold < 2:
                frame["random forest"] = frame["true"]
            frame.index = pd.Index([f"{fold}-1", f"{fold}-2"], name="sample-id")
            frame.to_csv(folder / f"{name}.tsv", sep="\t")
    rows = skill.collect(tmp_path)["targets"].set_index("target")
    assert "random forest" not in rows
    assert (rows[["q2-aam", "trivial"]] == 1).all(axis=None) and rows.loc["age", "covered"] == 0.5
    assert rows.loc["kind", list(skill.DECISIONS)].tolist() == [1, 0.5, 0.5]
    shown = skill.tables({"targets": rows.reset_index(), "unifrac": pd.DataFrame()})
    assert "| by chance alone | accuracy | likeliest: balanced accuracy | likeliest: accuracy |" in shown
    assert "| mean rank |  |  | 1.50 | 1.50 |" in shown


def test_classes_called_true_and_false_keep_their_names(skill, tmp_path):
    """pandas would read them as truth values, and write these as True and False."""
    for fold in range(skill.FOLDS):
        folder = tmp_path / "study" / "seed-0" / f"fold-{fold}"
        folder.mkdir(parents=True)
        (folder / "facts.json").write_text("{}")
        names = pd.Series(["TRUE", "FALSE"], pd.Index([f"{fold}-1", f"{fold}-2"], name="sample-id"))
        kept = dict.fromkeys(("true", "q2-aam", "largest class", "likeliest"), names)
        pd.DataFrame({**kept, "probability": 0.9, "group": names.index}).to_csv(folder / "treated.tsv", sep="\t")
    (row,) = skill.collect(tmp_path)["targets"].to_dict("records")
    assert row["q2-aam"] == row["trivial"] == row["accuracy"] == 1


def test_losses_are_of_the_same_seeds(skill):
    whole = pd.DataFrame(
        {"study": "s", "target": "age", "seed": [0, 1, 2], "q2-aam": [0.5, 0.6, 9], "random forest": [0.4, 0.4, 9]}
    )
    part = whole[whole["seed"] < 2].assign(**{"q2-aam": [0.4, 0.45], "random forest": [0.5, 0.4], "covered": 0.9})
    assert skill.losses(whole, part).splitlines()[2:] == [
        "| study | target | seeds | q2-aam | random forest |",
        "| --- | --- | --- | --- | --- |",
        "| s | age | 2 | +0.125 | -0.050 |",
    ]
    assert skill.losses(whole, part.assign(study="another")) == ""
    waiting = whole.assign(**{"q2-aam": [0.5, np.nan, 9]})
    assert "| s | age | 1 | +0.100 | -0.100 |" in skill.losses(waiting, part)


def test_an_encoder_that_is_not_there_is_refused(skill, tmp_path, capsys):
    """Else it would be pretrained on the first fold, and know samples of the others' tests."""
    with pytest.raises(SystemExit):
        skill.main(["--encoder", str(tmp_path / "none"), "--directory", str(tmp_path / "skill")])
    assert f"{tmp_path / 'none'} is no folder. Give the folder of an encoder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_the_ready_encoder_has_read_is_for_pretraining_alone(skill, tmp_path, capsys):
    with pytest.raises(SystemExit):
        skill.main(["--studies", "moving-pictures-bodysite", "--directory", str(tmp_path / "skill")])
    assert "The ready encoder has read moving-pictures-bodysite: --pretrain." in capsys.readouterr().err
    for wrong in (["--epochs", "3"], ["--pretrain", "--encoder", str(tmp_path)]):
        with pytest.raises(SystemExit):
            skill.main(wrong)
        assert "--pretrain goes with no --encoder" in capsys.readouterr().err
    assert not set(skill.STUDIES) & skill.studies_read() and set(skill.READ) <= skill.studies_read()


def test_a_fold_of_another_encoder_is_not_taken_for_done(skill, tmp_path):
    assert not skill.is_done(tmp_path, skill.READY)
    (tmp_path / "facts.json").write_text(json.dumps({"encoder": "another"}))
    assert skill.is_done(tmp_path, None) and not skill.is_done(tmp_path, skill.READY)
    (tmp_path / "facts.json").write_text(json.dumps({"encoder": skill.Encoder.ready().digest()}))
    assert skill.is_done(tmp_path, skill.READY)


def written_study(folder: Path) -> Path:
    """Files of a study: twelve samples of two classes, one of them in no group."""
    ids = [f"s{number}" for number in range(12)]
    table = biom.Table(np.ones((2, 12)), ["ACGT", "ACGA"], ids)
    with biom.util.biom_open(str(folder / "table.biom"), "w") as handle:
        table.to_hdf5(handle, "test")
    (folder / "sequences.fasta").write_text(">ACGT\nACGT\n>ACGA\nACGA\n")
    (folder / "tree.nwk").write_text("(ACGT:1,ACGA:1);\n")
    places = [*"aabcdefghij", ""]
    rows = [f"{name}\t{number}\t{'xy'[number % 2]}\t{places[number]}" for number, name in enumerate(ids)]
    (folder / "metadata.tsv").write_text("\n".join(["sample-id\tage\tdisease\tplace", *rows]) + "\n")
    return folder


@pytest.mark.parametrize("targets", [["age"], ["disease", "age"], ["age", "disease"]])
@pytest.mark.parametrize("groups", [None, "place"])
def test_folds_of_another_study_hold_whole_groups_of_all_that_are_in_one(skill, tmp_path, groups, targets):
    study = skill.Study(written_study(tmp_path), groups, targets)
    names = [f"s{number}" for number in range(12 if groups is None else 11)]
    assert study.table.ids().tolist() == study.frame.index.tolist() == names
    folds = study.folds(0)
    assert len(folds) == skill.FOLDS
    assert np.sort(np.concatenate([test for _, test in folds])).tolist() == list(range(len(names)))
    members = study.members().to_numpy()
    assert not any(set(members[train]) & set(members[test]) for train, test in folds)
    assert len(set(members)) == (12 if groups is None else 10)


def test_heads_are_refitted_to_an_encoder_of_an_earlier_version(skill, tmp_path, monkeypatch, capsys):
    """With `--refit`, in the folder of a fold: what was pretrained takes the most time."""
    from q2_aam.simulation.survey import simulate_survey

    folder = tmp_path / "small"
    survey = simulate_survey(30, 60, 40)
    survey.write(folder)
    study = skill.Study(folder, "site", ["ph"])
    path = tmp_path / "results-own" / "small" / "seed-0" / "fold-0"
    table = study.part(study.folds(0)[0][0])
    model = pretrain(table, study.phylogeny, study.sequences, epochs=1, **SIZES, **RUN)[0]
    settings = description(model)["settings"]
    absent = dict.fromkeys(("settings", "token_limit", "covariates", "head"))
    tampered(model, path / "encoder", lambda content: None, schema_version=3, training=settings, **absent)
    monkeypatch.setattr(skill, "pretrain", None)
    arguments = [study, 0, 0, path, {}, None, 1]
    skill.run_fold(*arguments)
    first, facts = (path / "ph.tsv").read_text(), json.loads((path / "facts.json").read_text())
    assert set(facts["took"]) == {"fit ph", "baselines ph"} and 0 < facts["unifrac"]["rmse"] < 1
    assert first.splitlines()[0].split("\t")[:6] == [
        "sample-id", "true", "q2-aam", "median", "random forest", "log-ratios",
    ]  # fmt: skip
    # again: the same predictions, and the baselines that are there stand
    monkeypatch.setattr(skill, "predict_baselines", None)
    monkeypatch.setattr(skill, "PAGES", tmp_path)
    monkeypatch.setattr(skill, "write_section", lambda *_: None)
    common = ["--study", str(folder), "--targets", "ph", "--groups", "site", "--folds", "0", "--threads", "1"]
    common += ["--pretrain", "--directory", str(tmp_path / "results")]
    skill.main(common)
    assert "fold 0" not in capsys.readouterr().out
    skill.main([*common, "--refit"])
    assert "small, seed 0, fold 0" in capsys.readouterr().out
    assert (path / "ph.tsv").read_text() == first
