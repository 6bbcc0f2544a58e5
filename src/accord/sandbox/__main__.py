"""`python -m accord.sandbox`: the simulated vendors without the rest of Accord's command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from accord.sandbox import VENDORS
from accord.sandbox.main import run


def _port(text: str) -> tuple[str, int]:
    vendor, _, number = text.partition("=")
    if vendor not in VENDORS or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: say VENDOR=NUMBER, with one of {', '.join(VENDORS)}.")
    return vendor, int(number)


def main() -> None:
    parser = argparse.ArgumentParser(prog="accord.sandbox", description="Simulated vendors over HTTPS.")
    parser.add_argument("--json", action="store_true", help="print one line of JSON with all a client needs")
    parser.add_argument("--vendor", action="append", choices=list(VENDORS), help="serve this one (repeat for more)")
    parser.add_argument("--port", action="append", type=_port, default=[], metavar="VENDOR=NUMBER")
    parser.add_argument("--state-dir", type=Path, help="folder of the local certificate authority")
    parser.add_argument("--seed", type=int, default=1, help="seed of ids, keys and secrets")
    asked = parser.parse_args()
    run(
        json_line=asked.json,
        state_dir=asked.state_dir,
        ports=dict(asked.port),
        vendors=asked.vendor,
        seed=asked.seed,
    )


main()
