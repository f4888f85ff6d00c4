#!/usr/bin/env bash
# From a fresh machine to reinforcement learning on real Lean, on this machine alone: searches, verdicts
# by a process that did not search, a network that learns from them, a probe of the test split before,
# during and after, and a report.
#
#   bash tools/quickstart.sh            # about ten minutes on two cores
#   bash tools/quickstart.sh --smoke    # a dozen theorems, about a minute
#
# Needs Python ≥ 3.11, a C++ compiler (DeepSpeed's) and a package registry. Killed, the same command
# goes on; when all is done it says so (--out runs/other begins another run).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh

case "${1:-}" in
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' tools/quickstart.sh
        exit 0
        ;;
esac

set_up ""
.venv/bin/python -m leanfleet.cli lean install
exec .venv/bin/python -m leanfleet.cli launch configs/quickstart.yaml "$@"
