"""`python -m accord.sandbox` as another program sees it."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest

from accord.sandbox import VENDORS
from accord.sandbox.main import build


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_line_tells_a_client_all_and_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "accord.sandbox", "--json", "--vendor", "stripe", "--state-dir", str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            told = json.loads(await process.stdout.readline())
        assert list(told) == ["stripe"]
        stripe = told["stripe"]
        assert set(stripe) == {"url", "ca_file", "credentials", "admin_url"}
        trust = ssl.create_default_context(cafile=stripe["ca_file"])
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
            key = {"authorization": f"Bearer {stripe['credentials']['api_key']}"}
            async with session.get(f"{stripe['url']}/v1/customers", headers=key) as answer:
                assert answer.status == 200
                assert (await answer.json())["object"] == "list"
            async with session.get(f"{stripe['admin_url']}/calls") as answer:
                assert (await answer.json())["total"] == 1
        process.send_signal(number)
        async with asyncio.timeout(10):
            rest = await process.stdout.read()
            assert (await process.wait(), rest) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_vendor_is_built_without_touching_the_others() -> None:
    (stripe,) = build(["stripe"])
    assert stripe.vendor == "stripe"
    with pytest.raises(KeyError):
        build(["sap"])


def test_the_vendors_are_known_by_name() -> None:
    assert sorted(VENDORS) == ["netsuite", "salesforce", "stripe"]
