#!/bin/sh
# Every figure of a card in one run of less than 8 minutes, as JSON:
#
#     benchmarks/gpu.sh card.json
#     benchmarks/gpu.sh small.json --device cpu --quick     # the same on tiny networks, anywhere
#
# PYTHON is the interpreter with geoiseg[sam]. What was measured when time runs out is in the file.
set -eu
out=${1:?"say where the figures go: benchmarks/gpu.sh OUT.json"}
shift
cd "$(dirname "$0")/.."
exec "${PYTHON:-python}" -m benchmarks.gpu --json "$out" --limit 440 "$@"
