"""A small part of the real pipeline: the same deals every time, with all its dirt."""

from __future__ import annotations

import csv
import os
import shutil
from itertools import islice
from pathlib import Path

import pytest

# How many won deals of which kind; the rest of the won ones are the first in the file.
PHILIPPINE, KOREAN, OF_A_SUBSIDIARY, WON = 6, 5, 15, 150
OTHER_STAGES = {"Lost": 20, "Engaging": 20, "Prospecting": 10}


def real_pipeline() -> Path:
    """The public pipeline, which is not part of the project: ACCORD_SHARED_DATA names the folder that holds it."""
    shared = Path(os.environ.get("ACCORD_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    folder = shared / "crm-pipeline"
    if not folder.is_dir():
        pytest.fail(f"There is no {folder}: name the folder of the shared data in ACCORD_SHARED_DATA.")
    return folder


def write_subset(folder: Path) -> Path:
    """Write the part into a folder that is made; accounts, products and agents are all there."""
    real = real_pipeline()
    folder.mkdir()
    for name in ("accounts.csv", "products.csv", "sales_teams.csv"):
        shutil.copyfile(real / name, folder / name)
    with (real / "accounts.csv").open(encoding="utf-8", newline="") as file:
        accounts = {row["account"]: row for row in csv.DictReader(file)}
    with (real / "sales_pipeline.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, deals = list(reader.fieldnames or ()), list(reader)
    won = [deal for deal in deals if deal["deal_stage"] == "Won"]
    country = {name: row["office_location"] for name, row in accounts.items()}
    chosen = [
        *islice((deal for deal in won if country[deal["account"]] == "Philipines"), PHILIPPINE),
        *islice((deal for deal in won if country[deal["account"]] == "Korea"), KOREAN),
        *islice((deal for deal in won if accounts[deal["account"]]["subsidiary_of"]), OF_A_SUBSIDIARY),
    ]
    rest = (deal for deal in won if deal not in chosen and country[deal["account"]] not in ("Philipines", "Korea"))
    chosen += list(islice(rest, WON - len(chosen)))
    for stage, count in OTHER_STAGES.items():
        chosen += list(islice((deal for deal in deals if deal["deal_stage"] == stage), count))
    assert sum(deal["product"] == "GTXPro" for deal in chosen) > 10
    assert any(not deal["account"] for deal in chosen)
    with (folder / "sales_pipeline.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(chosen)
    return folder
