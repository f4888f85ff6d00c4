#!/usr/bin/env bash
# Set-up, lint, tests. Arguments go to pytest.
#
#   bash tools/test.sh                  # everything
#   bash tools/test.sh tests/lean -x    # a part
#
# With CI=true, a test that is skipped because real Lean is missing is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh

set_up test
if ! .venv/bin/python -m leanfleet.cli lean install --registry; then
    [ "${CI:-}" = true ] && die "CI needs the registry Lean"
    echo "going on without the registry Lean: its tests will be skipped" >&2
fi
.venv/bin/python -m ruff check .
exec .venv/bin/python -m pytest "$@"
