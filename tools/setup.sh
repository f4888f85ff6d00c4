# Sourced by the other scripts: makes .venv once, and again when what it is made from has changed.
#
# `set_up ""` installs the package, `set_up test` what its tests need as well. It knows Python only.

die() { echo "error: $*" >&2; exit 2; }

# The first Python that is new enough: $PYTHON, then python3.13 … python3.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is needed (found: $(python3 --version 2>/dev/null || echo none));" \
        "name one with PYTHON=/path/to/python3.11 $0"
}

# What an installation depends on. A moved folder counts: an editable install names its place.
setup_key() {
    { pwd; .venv/bin/python --version; cat setup.cfg pyproject.toml tools/constraints.txt; } 2>&1 |
        cksum | tr ' ' '-'
}

set_up() {
    local extra="$1" key python
    if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
        python="$(find_python)" || exit 2
        echo "making .venv with $("$python" --version)"
        rm -rf .venv
        "$python" -m venv .venv ||
            die "$python can't make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv"
    fi
    key="$(setup_key)"
    # The tests' environment does for everything else too.
    if [ "$(cat .venv/.ready-test 2>/dev/null)" = "$key" ] ||
        { [ -z "$extra" ] && [ "$(cat .venv/.ready- 2>/dev/null)" = "$key" ]; }; then
        return
    fi
    echo "installing leanfleet into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint tools/constraints.txt --editable ".${extra:+[$extra]}" ||
        die "pip could not install leanfleet (its own message is above)"
    echo "$key" > ".venv/.ready-$extra"
}
