#!/usr/bin/env bash
# Makes sure that the browser tests have a Chromium. When none can be had, says so and goes on: the tests that need it
# then fail with the same sentence.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

for name in ${ACCORD_CHROMIUM:-} chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
playwright_has_one() {
    .venv/bin/python -c '
import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    sys.exit(not os.access(playwright.chromium.executable_path, os.X_OK))' >/dev/null 2>&1
}
playwright_has_one && exit 0

alone
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing Chromium from the system's packages for the browser tests"
    if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } \
        >"$log" 2>&1 9>&- && command -v chromium >/dev/null; then
        exit 0
    fi
fi
say "asking Playwright for a Chromium for the browser tests"
if timeout 300 .venv/bin/playwright install chromium >>"$log" 2>&1 9>&- && playwright_has_one; then exit 0; fi
tail -n 5 "$log" >&2
say "no Chromium: install your system's chromium package, or name one in ACCORD_CHROMIUM; browser tests will fail"
