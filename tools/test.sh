#!/usr/bin/env bash
# Set-up, lint, tests. Arguments go to pytest.
#
#   bash tools/test.sh                  # everything, in two processes (tests/conftest.py says which where)
#   bash tools/test.sh tests/lean -x    # a part
#
# With CI=true, a test that is skipped because real Lean or Slurm is missing is a failure. As root on
# Debian or Ubuntu, Slurm is installed where there is none; the tests start and stop a cluster of theirs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh

set_up test
if ! .venv/bin/python -m leanfleet.cli lean install --registry; then
    [ "${CI:-}" = true ] && die "CI needs the registry Lean"
    echo "going on without the registry Lean: its tests will be skipped" >&2
fi
if ! command -v sbatch >/dev/null || ! PATH="$PATH:/usr/sbin" command -v slurmctld >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing slurm-wlm and munge"
        export DEBIAN_FRONTEND=noninteractive
        packages=(--no-install-recommends slurm-wlm munge)
        # Package lists may be too old, or not there at all.
        apt-get install -qq -y "${packages[@]}" >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -qq -y "${packages[@]}"; } >/dev/null 2>&1 ||
            echo "apt-get can't install Slurm: its tests will be skipped" >&2
    else
        echo "no Slurm, and it is installed by root on Debian or Ubuntu only: its tests will be skipped" >&2
    fi
fi
.venv/bin/python -m ruff check .
[ $# -gt 0 ] || set -- --numprocesses 2
exec .venv/bin/python -m pytest "$@"
