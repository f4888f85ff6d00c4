#!/usr/bin/env bash
# Long runs whose figures are quoted, as opposed to tests.
#
#   bash tools/soak.sh lean                         # 50,000 steps through a real Lean server
#   bash tools/soak.sh lean --steps 2000 --distinct 80 --kills 5 --out soak.json
#   bash tools/soak.sh hub --results 1000000 --folder runs/soak --seconds 190    # in pieces
#
# Each is a file in tools/soak; `bash tools/soak.sh NAME --help` lists its options. They need what
# tools/quickstart.sh installs (PYTHON names another Python that has the package).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

names() { (cd tools/soak && grep -l '^def main' -- *.py | sed 's/\.py$//' | tr '\n' ' '); }

name=${1:-}
if [[ ! $name =~ ^[a-z_]+$ || ! -f tools/soak/$name.py ]]; then
    echo "usage: bash tools/soak.sh NAME [options], NAME one of: $(names)" >&2
    exit 2
fi
shift
python=${PYTHON:-.venv/bin/python}
if ! command -v "$python" >/dev/null; then
    echo "no $python: run \`bash tools/quickstart.sh\` first, or set PYTHON" >&2
    exit 2
fi
exec "$python" "tools/soak/$name.py" "$@"
