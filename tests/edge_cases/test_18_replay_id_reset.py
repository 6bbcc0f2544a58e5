"""Edge case 18: Salesforce replay id reset. Accord polls and takes outbound messages, so what can be reset is the
watermark of the poll: going back doubles nothing, and what no push told is not lost."""

from __future__ import annotations

from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

RESET = "UPDATE poll SET watermark_at = NULL, watermark_id = '' WHERE connection = 'salesforce'"
SEEN = "SELECT sum(last_seen), count(*) FROM poll WHERE connection = 'salesforce'"
ALL_OF_IT = """
SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM effect), (SELECT count(*) FROM process),
    (SELECT sum(version) FROM record), (SELECT count(*) FROM transfer), (SELECT count(*) FROM business_case)
"""


def test_a_watermark_that_starts_anew_reads_everything_again_and_changes_nothing(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        scene.pays(invoice)
        await scene.rest()
        before = scene.server.ask(ALL_OF_IT)
        held = scene.holdings()
        scene.server.tell(RESET)
        await scene.rest()
        assert scene.server.ask(ALL_OF_IT) == before
        assert scene.holdings() == held
        await scene.agrees()

    play(place, script)


def test_what_was_told_while_the_watermark_was_lost_and_no_push_arrived_comes_by_the_poll(place: Database) -> None:
    async def script(scene: Scene) -> None:
        scene.network.lose_push = 1.0
        await scene.sell("500.00")
        scene.server.tell(RESET)
        scene.vendors.act("salesforce", "update", id=scene.account, fields={"Name": "Customer Holding"})
        await scene.rest()
        assert scene.record("customer", scene.customer)["legal_name"] == "Customer Holding"
        assert [each["companyName"] for each in scene.held("netsuite", "customer")] == ["Customer Holding"]
        await scene.agrees()

    play(place, script)
