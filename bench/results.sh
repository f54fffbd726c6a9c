#!/usr/bin/env bash
# Train on the training images of a protocol, predict its test images, score, and write a report.
#   bench/results.sh dsb2018 10          # a set of bench/protocol.py, or fib25; minutes; options of unseam train
# Everything goes to runs/NAME; the scores are runs/NAME/scores.json, the page runs/NAME/report.html.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 minutes=$2
shift 2
data=${UNSEAM_DATA:-../shared/data}
bin=.venv/bin
run=runs/$name
mkdir -p runs

if [ "$name" = fib25 ]; then
    "$bin/python" bench/fib25.py --out "$run.cut"
    train=("$run.cut/train/images" "$run.cut/train/labels")
    inputs=("$run.cut/test/images")
    truth=$run.cut/test/labels images=$run.cut/test/images
else
    "$bin/python" bench/protocol.py "$name" --out "$run.csv"
    train=("$run.csv")
    inputs=("$run.csv" --split test)
    case $name in
        hela) truth=$data/DIC-C2DH-HeLa/02_GT/SEG images=$data/DIC-C2DH-HeLa/02 ;;
        hela_reverse) truth=$data/DIC-C2DH-HeLa/01_GT/SEG images=$data/DIC-C2DH-HeLa/01 ;;
        *) truth=$data/$name/labels images=$data/$name/images ;;
    esac
fi

"$bin/unseam" train "${train[@]}" --out "$run" --minutes "$minutes" --overwrite "$@"
"$bin/unseam" predict "$run" "${inputs[@]}" --out "$run/test" --overwrite
"$bin/unseam" evaluate "$truth" "$run/test" --images "$images" --model "$run" \
    --json "$run/scores.json" --report "$run/report.html" --overwrite
