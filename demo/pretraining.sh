#!/usr/bin/env bash
# The optional part of the demo: an encoder pretrained on the survey itself, which takes its phylogeny.
# Called by `make demo-pretraining`, after `make demo`.
set -euo pipefail
demo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$demo/steps.sh"
cd "$demo/output"

step "1. Pretrain: learn, without any metadata, an embedding of samples whose distances are UniFrac."
run qiime tools import --type 'Phylogeny[Rooted]' --input-path tree.nwk --output-path tree.qza
# Fewer epochs than by itself, so that the demo takes a minute.
run qiime aam pretrain --i-table train.qza --i-sequences sequences.qza --i-phylogeny tree.qza --p-epochs 15 \
  --o-model encoder.qza --o-training-log pretrain-log.qza --verbose
run qiime aam summarize-training --i-training-log pretrain-log.qza --o-visualization pretrain-log.qzv

step "2. Fit ph to it, instead of to the encoder that comes with q2-aam."
run qiime aam fit --i-table train.qza --i-sequences sequences.qza --i-encoder encoder.qza \
  --m-metadata-file metadata.tsv --m-metadata-column ph \
  --m-groups-file metadata.tsv --m-groups-column site \
  --o-model own-ph-model.qza --o-predictions own-ph-out-of-fold.qza \
  --o-certainty own-ph-out-of-fold-certainty.qza --verbose
echo "How the training went: $PWD/pretrain-log.qzv"
