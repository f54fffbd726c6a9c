#!/usr/bin/env bash
# Make the model that comes with the package, its scores and its card: bench/box_model.sh
# Trains on the 70 training images of dsb2018 and scores on the 30 test images, then trains on all 100 by the same
# recipe, with the thresholds that the first run chose. A run that is there is kept: remove runs/box-split or
# runs/box to train again.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${UNSEAM_DATA:-../shared/data}/dsb2018
bin=.venv/bin
split=runs/box-split final=runs/box file=src/unseam/models/nuclei.safetensors
recipe=(--iterations 4000 --seed 0 --set network.base_width=32 --set network.depth=3 --set augment.scale=0.2
    --set augment.gain=0.15 --set augment.gamma=0.2 --set augment.noise=0.02)
mkdir -p runs

"$bin/python" bench/protocol.py dsb2018 --out runs/dsb2018.csv
"$bin/python" bench/protocol.py dsb2018_all --out runs/dsb2018-all.csv
is_done() { [ -f "$1/history.csv" ] && [ "$(tail -n 1 "$1/history.csv" | cut -d, -f1)" = 4000 ]; }
is_done "$split" || "$bin/unseam" train runs/dsb2018.csv --out "$split" "${recipe[@]}" --overwrite

# the test images, as the package would predict them, and as they are
tried=$split/nuclei.safetensors
"$bin/python" bench/box_model.py file "$split" --out "$tried"
for way in "scores test" "as-is test-as-is --no-rescale"; do
    read -r name folder options <<< "$way"
    # shellcheck disable=SC2086
    "$bin/unseam" predict "$tried" runs/dsb2018.csv --split test --out "$split/$folder" --overwrite $options
    "$bin/unseam" evaluate "$data/labels" "$split/$folder" --images "$data/images" --model "$split" \
        --json "$split/$name.json" --report "$split/$name.html" --overwrite
done
"$bin/python" bench/box_model.py half "$split" "$tried" runs/dsb2018.csv --json "$split/half.json"
"$bin/python" bench/diameter.py "$tried" --pairs runs/dsb2018.csv --split train --out "$split/diameter.md"

# no image is held out: what was chosen on those of the split is taken over
read -ra chosen <<< "$("$bin/python" bench/box_model.py chosen "$split")"
is_done "$final" || "$bin/unseam" train runs/dsb2018-all.csv --out "$final" "${recipe[@]}" \
    --set data.validation=0 "${chosen[@]}" --overwrite
"$bin/python" bench/box_model.py file "$final" --out "$file" --scores "$split/scores.json"
"$bin/python" bench/box_card.py "$split" "$file" runs/dsb2018.csv
