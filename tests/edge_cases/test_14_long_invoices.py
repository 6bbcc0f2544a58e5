"""Edge case 14: an invoice of more than 1,000 lines is written in several calls and stays one legal document. Its
number is given by the system that owns numbering."""

from __future__ import annotations

from accord.ledger.explaining import explain_line
from accord.sandbox.kit.faults import Fault
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

LINES = 1_200


def test_twelve_hundred_lines_are_one_invoice_everywhere(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell()
        await scene.worked(*["1"] * LINES, rate="10.01")
        # Both vendors fail in the middle of the lines: what is tried again goes on, and repeats none.
        stripe, netsuite = scene.vendors.simulators["stripe"], scene.vendors.simulators["netsuite"]
        stripe.faults.add(Fault("lose_answer", method="POST", path="add_lines", after=2))
        netsuite.faults.add(Fault("lose_answer", method="PATCH", path="record/v1/invoice"))
        invoice = await scene.bill()
        assert len(invoice["lines"]) == LINES
        (issued,), (posted,) = scene.held("stripe", "invoice"), scene.held("netsuite", "invoice")
        lines = [each for each in scene.held("stripe", "line_item") if each["invoice"] == issued["id"]]
        assert [each["metadata"]["line"] for each in lines] == [str(n) for n in range(LINES)]
        assert [each["description"] for each in lines] == [each["text"] for each in invoice["lines"]]
        assert [each["description"] for each in posted["item"]["items"]] == [each["text"] for each in invoice["lines"]]
        gross = round(LINES * (1001 + 190))
        assert (issued["total"], round(posted["total"] * 100), invoice["gross"]["amount"]) == (gross, gross, "14292.00")
        assert (stripe.faults.waiting(), netsuite.faults.waiting()) == ([], []), "both have failed as they were told to"
        scene.pays(invoice)
        await scene.rest()
        assert await scene.lies() == {"collected": "12012.00"}
        async with scene.database() as db:
            assert [(await explain_line(db, invoice["id"], line)).agrees for line in (1, 1_000, 1_200)] == [True] * 3
        await scene.agrees()

    play(place, script)


def test_numbers_are_billings_own_and_the_same_everywhere(place: Database) -> None:
    async def script(scene: Scene) -> None:
        invoices = await scene.invoiced("1000.00", "500.00", "200.00")
        numbers = [each["number"] for each in invoices]
        first = numbers[0].rpartition("-")[0]
        assert numbers == [f"{first}-000{n}" for n in (1, 2, 3)], "billing counts, without a gap"
        assert [each["number"] for each in scene.held("stripe", "invoice")] == numbers
        assert [each["otherRefNum"] for each in scene.held("netsuite", "invoice")] == numbers
        assert sorted(each["Number__c"] for each in scene.held("salesforce", "Invoice__c")) == numbers
        sent = scene.server.ask("SELECT body ->> 'number' FROM effect WHERE kind = 'invoice' AND verb = 'issue'")
        assert sent == [(None,)] * 3, "Accord asks for no number"

    play(place, script)
