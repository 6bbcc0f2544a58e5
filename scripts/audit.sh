#!/usr/bin/env bash
# Looks the pinned packages up in a database of advisories: of the Python Packaging Authority, or of OSV when that is
# silent. Ends with 0 when there is none against them, 1 when there are, 3 when no source answered: then nothing is known.
set -uo pipefail
source "$(dirname "$0")/lib.sh"

report=$(mktemp)
errors=$(mktemp)
trap 'rm -f "$report" "$errors"' EXIT
for source in pypi osv; do
    : >"$report"
    timeout 180 .venv/bin/python -m pip_audit --requirement requirements.txt --require-hashes --no-deps --disable-pip \
        --vulnerability-service "$source" --progress-spinner off --format json --output "$report" 2>"$errors"
    # The report is there only when the source answered, whatever it said.
    if .venv/bin/python - "$report" <<'PYTHON'
import json, sys
try:
    found = json.load(open(sys.argv[1]))["dependencies"]
except (ValueError, KeyError):
    sys.exit(1)
bad = [(each["name"], each["version"], flaw["id"], ", ".join(flaw["fix_versions"]) or "no fix yet")
       for each in found for flaw in each.get("vulns", ())]
for name, version, id, fixed in bad:
    print(f"{name} {version}: {id} (fixed in {fixed})")
skipped = [each["name"] for each in found if "skip_reason" in each]
if len(skipped) == len(found):
    sys.exit(1)  # a source that knows none of them, such as a mirror, has looked nothing up
print(f"{len(found) - len(skipped)} packages looked up, {len(bad)} advisories, {len(skipped)} not known to the source")
sys.exit(10 if bad else 0)
PYTHON
    then
        exit 0
    elif [ $? -eq 10 ]; then
        exit 1
    fi
done
say "no source of advisories answered, so NOTHING WAS CHECKED; run it where one can be reached"
exit 3
