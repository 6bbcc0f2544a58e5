# Sourced by the other scripts: where we are, which Python, which uv. Works in bash 3.2 and newer.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "accord: $*" >&2; }
die() { say "$*"; exit 1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local name path
    for name in ${ACCORD_PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14 python; do
        path=$(command -v "$name") || continue
        # A version manager's shim may stand for a Python that is not there, so ask it where it really is.
        if new_enough "$path"; then
            "$path" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    return 1
}

# Prints the path of uv. Takes the one on the PATH, else keeps a pinned private one in .uv/, never a global one.
find_uv() {
    local python=$1 pinned
    if command -v uv; then return 0; fi
    pinned=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements-uv.txt)
    if [ "$(.uv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$pinned" ]; then
        say "fetching uv $pinned into .uv/"
        rm -rf .uv
        # Debian's Python may come without ensurepip; then a pip that is there can still fill a folder.
        if "$python" -m venv .uv >/dev/null 2>&1; then
            .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt >&2
        else
            rm -rf .uv
            "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --target .uv -r requirements-uv.txt >&2
        fi || { say "could not install uv: install it (or python3-venv) yourself and run this again"; return 1; }
    fi
    printf '%s\n' "$PWD/.uv/bin/uv"
}

# Only one of several makes at once may build the environment.
alone() {
    if command -v flock >/dev/null 2>&1; then
        exec 9>".setup.lock"
        flock 9
    fi
}
