#!/usr/bin/env bash
# Every row of docs/accuracy.md, one after another, and its tables; keep the machine quiet meanwhile.
#   bench/accuracy/all.sh [MINUTES]        10 by default; about six hours then
# Ours has three seeds, a peer one. What is measured already is passed over: remove its file to repeat it.
set -uo pipefail
cd "$(dirname "$0")/../.."
minutes=${1:-10}
for dataset in nuclei isbi2012 hela; do
    for row in "unseam 0" "unseam 1" "unseam 2" "stardist 0" "cellpose 0" "smp 0" "monai 0" \
        "nnunet 0" "nnunet-small 0" "unseam-paper 0"; do
        read -r peer seed <<<"$row"
        [ "$peer $dataset" = "stardist isbi2012" ] && continue # its cells are not star-convex
        echo "== $peer $dataset, seed $seed"
        bench/accuracy/run.sh "$peer" "$dataset" "$minutes" "$seed" --missing || echo "$peer: no result"
    done
done
"${PYTHON:-.venv/bin/python}" -m bench.accuracy table
