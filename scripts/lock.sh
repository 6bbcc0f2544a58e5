#!/usr/bin/env bash
# Resolves the requirements anew from pyproject.toml, for every platform, with hashes. For maintainers: a change of
# the pins is a commit of its own. ARGS such as --upgrade or --upgrade-package NAME are handed on.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

python=$(find_python) || die "Python 3.11 or newer is needed: install it, or name one in ACCORD_PYTHON"
uv=$(find_uv "$python") || exit 1
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links "$@"
}
compile pyproject.toml --output-file requirements.txt "${@}"
compile pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt "${@}"
