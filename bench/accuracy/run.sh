#!/usr/bin/env bash
# One row of docs/accuracy.md: makes the peer's environment, trains it, predicts, scores.
#   bench/accuracy/run.sh PEER DATASET MINUTES [SEED]        as: bench/accuracy/run.sh smp nuclei 10 0
# bench/accuracy/run.sh --help names the peers and the data sets. UNSEAM_DATA holds the data.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-.venv/bin/python}" -m bench.accuracy run "$@"
