#!/usr/bin/env bash
# From a fresh machine to real theorems proved by real Lean, on this machine alone.
#
#   bash tools/quickstart.sh            # everything in configs/quickstart.yaml
#   bash tools/quickstart.sh --smoke    # the same within about a minute
#
# Needs Python ≥ 3.11 and a package registry. A second run reuses what is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh

case "${1:-}" in
    -h | --help)
        sed -n '2,7s/^# \{0,1\}//p' tools/quickstart.sh
        exit 0
        ;;
esac

set_up ""
.venv/bin/python -m leanfleet.cli lean install
exec .venv/bin/python -m leanfleet.cli quickstart --config configs/quickstart.yaml "$@"
