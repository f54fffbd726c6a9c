#!/usr/bin/env bash
# The GPU column of docs/accuracy.md: the paper preset at its full size (patches of 572, base width 64, 31 million
# parameters) and the default preset, trained by `unseam reproduce` on a CUDA device, predicted and scored.
#   bench/accuracy/gpu.sh                                   10 minutes each, 3 seeds: about five hours
#   MINUTES=10 SEEDS=0 PRESETS=unseam-paper SETS=hela bench/accuracy/gpu.sh                a part of it
#   DEVICE=cpu MINUTES=0.2 bench/accuracy/gpu.sh            no GPU: one small trial of each, kept out of the tables
# A fresh clone will do: .venv is made, and data are fetched where neither UNSEAM_DATA nor ../shared/data has them.
# Results: bench/accuracy/results/PRESET-SET-MINUTES-SEED-GPU.json, or the folder RESULTS. What is measured
# already is passed over: remove its file, and its folder in runs/accuracy, to repeat it.
set -uo pipefail
cd "$(dirname "$0")/../.."
device=${DEVICE:-cuda} minutes=${MINUTES:-10}
results=${RESULTS:-bench/accuracy/results}
if [ "$device" != cuda ] && [ "$device" != cpu ]; then
    echo "DEVICE is $device; cuda or cpu was expected" >&2
    exit 2
fi
[ "$device" = cpu ] && results=${RESULTS:-runs/accuracy/trial}
[ "$device" = cpu ] && seeds=${SEEDS:-0} || seeds=${SEEDS:-0 1 2}

if [ -z "${PYTHON:-}" ]; then
    make .venv/.installed || exit 2
    PYTHON=.venv/bin/python
fi
if [ "$device" = cuda ] && ! "$PYTHON" -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then
    echo "PyTorch finds no CUDA device here, so there is no GPU to measure (nvidia-smi lists those of the machine)." >&2
    echo "A small trial on the processor: DEVICE=cpu MINUTES=0.2 bench/accuracy/gpu.sh" >&2
    exit 2
fi

failed=0
for dataset in ${SETS:-nuclei isbi2012 hela}; do
    for preset in ${PRESETS:-unseam-paper unseam}; do
        for seed in $seeds; do
            echo "== $preset on $dataset, $minutes minutes, seed $seed, $device"
            "$PYTHON" -m bench.accuracy run "$preset" "$dataset" "$minutes" "$seed" --device "$device" \
                --threads "${THREADS:-$(nproc)}" --results "$results" --missing || failed=1
        done
    done
done
# The page is made of all results that are committed, so those of another folder do not replace its tables.
[ "$device" = cpu ] || [ -n "${RESULTS:-}" ] || "$PYTHON" -m bench.accuracy table || failed=1
exit $failed
