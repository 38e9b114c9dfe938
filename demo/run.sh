#!/usr/bin/env bash
# The whole way on a simulated survey, with the commands that you would type for your own: see README.md.
# Called by `make demo`, which prepares the environment. Everything it makes is in demo/output.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
demo=$PWD
rm -rf output
mkdir output
cd output
started=$SECONDS

source "$demo/steps.sh"

step "1. A survey to work on: 200 samples of 40 sites."
run python -m q2_aam.simulation.survey .

step "2. Import. A quarter of the samples, whole sites, is kept apart, as if sampled later."
run qiime tools import --type 'FeatureTable[Frequency]' --input-format BIOMV210Format \
  --input-path table.biom --output-path table.qza
run qiime tools import --type 'FeatureData[Sequence]' --input-path sequences.fasta --output-path sequences.qza
run qiime aam split-samples --i-table table.qza --m-metadata-file metadata.tsv --m-metadata-column ph \
  --m-groups-file metadata.tsv --m-groups-column site --p-share 0.25 \
  --o-train-table train.qza --o-test-table new.qza --verbose

number=3
for column in ph habitat; do
  step "$number. Fit $column: on the training sites, each predicted by what was learnt from the others."
  run qiime aam fit --i-table train.qza --i-sequences sequences.qza \
    --m-metadata-file metadata.tsv --m-metadata-column "$column" \
    --m-groups-file metadata.tsv --m-groups-column site \
    --o-model "$column-model.qza" --o-predictions "$column-out-of-fold.qza" \
    --o-certainty "$column-out-of-fold-certainty.qza" --verbose

  step "$((number + 1)). Predict $column at the new sites, and compare with the truth."
  run qiime aam predict --i-table new.qza --i-sequences sequences.qza --i-model "$column-model.qza" \
    --o-predictions "$column-predictions.qza" --o-certainty "$column-certainty.qza" \
    --o-novelty "$column-novelty.qza" --verbose
  run qiime aam evaluate --i-predictions "$column-predictions.qza" --i-certainty "$column-certainty.qza" \
    --m-metadata-file metadata.tsv --m-metadata-column "$column" \
    --m-groups-file metadata.tsv --m-groups-column site --o-visualization "$column.qzv"
  number=$((number + 2))
done

step "Scores at the new sites"
python "$demo/score_table.py" .

step "To look at"
for page in *.qzv; do
  echo "  $PWD/$page"
done
echo "Open one with 'qiime tools view FILE', or drop it on https://view.qiime2.org (it stays on your computer)."
echo "An encoder of your own, instead of the one that comes with q2-aam: make demo-pretraining."
echo "The demo took $((SECONDS - started)) seconds."
