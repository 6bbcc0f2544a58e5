#!/usr/bin/env bash
# Makes .venv/ exactly what requirements-dev.txt says, with the project itself editable. A second run does nothing.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python=$(find_python) || die "Python 3.11 or newer is needed: install it, or name one in ACCORD_PYTHON"

# What decides the environment: the pins, the project's own entry points, and the Python it stands on.
key=$({ cat requirements-dev.txt; sed '/^\[tool\./,$d' pyproject.toml; echo "$python"; pwd; } |
    "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
stamp=.venv/.accord-$key
[ -e "$stamp" ] && exit 0

alone
[ -e "$stamp" ] && exit 0

uv=$(find_uv "$python") || exit 1
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_LINK_MODE=${UV_LINK_MODE:-copy}
if ! .venv/bin/python -c '' 2>/dev/null || [ "$(cat .venv/.accord-python 2>/dev/null)" != "$python" ]; then
    say "making .venv with $("$python" --version)"
    "$uv" venv --quiet --clear --python "$python" .venv
    echo "$python" > .venv/.accord-python
fi
say "installing the pinned packages"
"$uv" pip sync --quiet --require-hashes --python .venv/bin/python requirements-dev.txt
"$uv" pip install --quiet --no-deps --no-build-isolation --python .venv/bin/python --editable .
rm -f .venv/.accord-????????????????????????????????????????????????????????????????
touch "$stamp"
