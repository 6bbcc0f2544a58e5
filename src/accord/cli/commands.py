"""The commands and their words; what they do is in the files beside this one and the rooms below."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from accord.cli import change_commands, closing_commands, rates_commands, revenue_commands

app = typer.Typer(
    name="accord",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""
    Accord keeps CRM, ERP and billing of a professional-services firm in accord: a won opportunity becomes an active
    project with a billing schedule, approved work becomes invoices, invoices become cash, and everyone sees the same
    truth.

    **Start here:** `accord demo` plays the whole story against simulated vendors and stays up for you to look at.

    **Exit codes:** 0 done · 1 a check failed · 2 wrong use · 4 not found · 5 conflict · 6 not reachable now · 7 not
    permitted. Settings are environment variables that start with `ACCORD_`; `accord doctor` shows which are set.
    """,
)
connect_app = typer.Typer(no_args_is_help=True, help="Connect systems: credentials go sealed into the vault.")
cases_app = typer.Typer(no_args_is_help=True, help="Cases: what a person has to look at, and how to cure it.")
import_app = typer.Typer(no_args_is_help=True, help="Bring data in from files.")
key_app = typer.Typer(no_args_is_help=True, help="API keys.")
terms_app = typer.Typer(no_args_is_help=True, help="Billing terms: rates, caps, retainers, by engagement and version.")
people_app = typer.Typer(no_args_is_help=True, help="People: hours, managers, absence.")
proposals_app = typer.Typer(no_args_is_help=True, help="Invoice proposals: approved work on its way to an invoice.")
adjustments_app = typer.Typer(
    no_args_is_help=True, help="Credits, refunds and write-offs that one asks for and another approves."
)
cash_app = typer.Typer(no_args_is_help=True, help="Customers' money: receipts beside billing, and unapplied cash.")
dispute_app = typer.Typer(no_args_is_help=True, help="Lines of invoices that customers object to, with evidence.")
app.add_typer(connect_app, name="connect", rich_help_panel="Set up")
app.add_typer(key_app, name="key", rich_help_panel="Set up")
app.add_typer(terms_app, name="terms", rich_help_panel="Set up")
app.add_typer(rates_commands.app, name="rates", rich_help_panel="Set up")
app.add_typer(people_app, name="people", rich_help_panel="Set up")
app.add_typer(proposals_app, name="proposals", rich_help_panel="Look and act")
app.add_typer(dispute_app, name="dispute", rich_help_panel="Look and act")
app.add_typer(cash_app, name="cash", rich_help_panel="Look and act")
app.add_typer(adjustments_app, name="adjustments", rich_help_panel="Look and act")
app.add_typer(cases_app, name="cases", rich_help_panel="Look and act")
app.add_typer(closing_commands.app, name="close", rich_help_panel="Look and act")
app.add_typer(change_commands.app, name="change", rich_help_panel="Look and act")
app.add_typer(revenue_commands.app, name="revenue", rich_help_panel="Look and act")
app.add_typer(import_app, name="import", rich_help_panel="Run")

Connection = Annotated[str, typer.Argument(help="Name of the connection; `accord connect list` shows them.")]
CaseNumber = Annotated[int, typer.Argument(help="Number of the case; `accord cases list` shows them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]


@app.callback()
def settings(
    home: Annotated[
        Path | None, typer.Option(envvar="ACCORD_HOME", help="Folder of the embedded database, keys and local CA.")
    ] = None,
) -> None:
    """Options for every command."""
    import os

    if home is not None:
        os.environ["ACCORD_HOME"] = str(home)


@app.command(rich_help_panel="Run")
def demo(
    once: Annotated[bool, typer.Option("--once", help="Play the story, check it, and end.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the summary to this file.", dir_okay=False)
    ] = None,
) -> None:
    """Play the story from won opportunity to cash against simulated vendors, check it, and stay up to be looked at."""
    from accord.demo.play import run

    run(once=once, json_file=json_file)


@app.command(rich_help_panel="Run")
def up(workers: Annotated[int, typer.Option(min=1, help="Worker processes beside the server.")] = 1) -> None:
    """Run server and workers until interrupted."""
    from accord.cli.running import run_up

    run_up(workers)


@app.command(rich_help_panel="Run")
def serve() -> None:
    """Run the server: pages, API and the door for pushes."""
    from accord.cli.running import run_server

    run_server()


@app.command(rich_help_panel="Run")
def worker(
    poll_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between polls of each vendor, where not configured.")
    ] = None,
) -> None:
    """Run one worker. Start as many as you like, on as many machines as you like."""
    from accord.cli.running import run_worker

    run_worker(poll_seconds)


@app.command(rich_help_panel="Run")
def sandbox(
    as_json: AsJson = False,
    vendor: Annotated[list[str] | None, typer.Option(help="Only these vendors; all when not given.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated ids.")] = 1,
) -> None:
    """Start the simulated vendors alone and stay up; prints what a client needs to log in."""
    from accord.cli.running import run_sandbox

    run_sandbox(as_json=as_json, vendors=vendor, seed=seed)


@app.command(rich_help_panel="Set up")
def migrate() -> None:
    """Bring the database's tables up to date; safe while the old version still runs."""
    from accord.cli.looking import run_migrate

    run_migrate()


@app.command(rich_help_panel="Look and act")
def status(as_json: AsJson = False) -> None:
    """What is going on: stories, waiting effects, connections, open cases, money."""
    from accord.cli.looking import show_status

    show_status(as_json=as_json)


@app.command(rich_help_panel="Look and act")
def trace(
    engagement: Annotated[str, typer.Argument(help="Id, number, name or project number of the engagement.")],
    as_json: AsJson = False,
) -> None:
    """The timeline of one engagement across all systems."""
    from accord.cli.looking import show_trace

    show_trace(engagement, as_json=as_json)


@app.command(rich_help_panel="Look and act")
def replay(
    inbox: Annotated[list[int] | None, typer.Option(help="Translate these inbox rows again.")] = None,
    process: Annotated[
        int | None, typer.Option(help="Drive this finished story again from its journal, and compare.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay what was recorded: a push that could not be read, or a story, without touching any vendor."""
    from accord.cli.looking import run_replay

    run_replay(inbox or [], process, as_json=as_json)


@app.command(rich_help_panel="Look and act")
def check(
    days: Annotated[int | None, typer.Option(help="Only what changed in so many days; everything by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look whether every promise holds here: nothing lost, nothing twice, the ledger balanced."""
    from accord.cli.simulating import run_check

    run_check(days, as_json=as_json)


@app.command(rich_help_panel="Run")
def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to play.")] = 20,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    faults: Annotated[
        str | None, typer.Option(help="Only these faults, with commas, or `none`; by default each seed draws its own.")
    ] = None,
    keep: Annotated[str | None, typer.Option(help="Of the faults a seed draws only these, with commas.")] = None,
    deals: Annotated[int, typer.Option(min=1, help="Deals the simulated firm wins.")] = 20,
    days: Annotated[int, typer.Option(min=10, help="Days the simulated firm lives.")] = 90,
    actions: Annotated[int | None, typer.Option(help="Only so many of the first things people do.")] = None,
    plant: Annotated[str | None, typer.Option(help="Put in this bug, to see it found.")] = None,
    planted: Annotated[bool, typer.Option("--planted", help="Look for every planted bug.")] = False,
    within: Annotated[int, typer.Option(min=1, help="With --planted: most seeds for each bug.")] = 500,
    processes: Annotated[int, typer.Option(min=1, help="Processes to play in, each with a PostgreSQL of its own.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Play a simulated firm for months from seeds, with crashes and faults, and check every promise on the way."""
    from accord.cli.simulating import run_planted, run_simulate

    if planted:
        run_planted([] if plant is None else [plant], within, as_json=as_json)
        return
    run_simulate(
        seeds, seed, faults=faults, keep=keep, deals=deals, days=days, actions=actions, plant=plant,
        processes=processes, as_json=as_json,
    )  # fmt: skip


@app.command(rich_help_panel="Set up")
def doctor(as_json: AsJson = False) -> None:
    """Check this installation: database, migrations, vault, connections, audit chain, ledger."""
    from accord.cli.looking import run_doctor

    run_doctor(as_json=as_json)


@import_app.command("crm-pipeline")
def import_crm_pipeline(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with the four CSV files.")],
    as_json: AsJson = False,
    workers: Annotated[int, typer.Option(min=1, help="Workers to start when none runs.")] = 1,
) -> None:
    """Load a sales pipeline into the CRM through its API and wait until every won deal is a project or a case."""
    from accord.cli.importing import run_crm_pipeline

    run_crm_pipeline(directory, as_json=as_json, workers=workers)


@import_app.command("sip-time")
def import_sip_time(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with the two CSV files.")],
    as_json: AsJson = False,
    bind: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV of project, engagement, legal_entity, valid_from."),
    ] = None,
) -> None:
    """Take ten years of task time in, give it its price, and account for every row and every hour."""
    from accord.cli.importing_time import run_sip_time

    run_sip_time(directory, bind, as_json=as_json)


@import_app.command("time-files")
def import_time_files(
    connection: Connection,
    as_json: AsJson = False,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Do not wait whether files without a manifest still grow.")
    ] = False,
    bind: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV of project, engagement, legal_entity, valid_from."),
    ] = None,
) -> None:
    """Look at a drop of time files now: take in what is whole and new, say what became of each file."""
    from accord.cli.importing_files import run_time_files

    run_time_files(connection, bind, at_once=at_once, as_json=as_json)


@connect_app.command("add")
def connect_add(
    name: Annotated[str, typer.Argument(help="Name of the connection, such as salesforce.")],
    vendor: Annotated[str, typer.Argument(help="salesforce, netsuite, stripe or timefiles.")],
    setting: Annotated[list[str] | None, typer.Option(help="name=value; asked for when needed and not given.")] = None,
    credentials_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON file with settings and credentials.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role to bind it to: crm, erp, billing, time.")] = None,
) -> None:
    """Store a connection; secrets are asked for without echo and sealed in the vault."""
    from accord.cli.connecting import add

    add(name, vendor, setting or [], credentials_file, role or [])


@connect_app.command("list")
def connect_list(as_json: AsJson = False) -> None:
    """The connections, their state and roles."""
    from accord.cli.connecting import show

    show(as_json=as_json)


@connect_app.command("bind")
def connect_bind(
    role: Annotated[str, typer.Argument(help="crm, erp, billing or time.")],
    connection: Connection,
    legal_entity: Annotated[str, typer.Option(help="Only for this legal entity.")] = "",
    valid_from: Annotated[str, typer.Option(help="First day, YYYY-MM-DD.")] = "0001-01-01",
) -> None:
    """Say which connection plays a role, per legal entity and from a day on."""
    from accord.cli.connecting import bind

    bind(role, connection, legal_entity, valid_from)


@connect_app.command("pause")
def connect_pause(name: Connection, reason: Annotated[str, typer.Option(prompt=True, help="Why.")]) -> None:
    """Stop sending to a connection; its effects wait."""
    from accord.cli.connecting import pause

    pause(name, reason)


@connect_app.command("resume")
def connect_resume(name: Connection) -> None:
    """Send to a connection again and close its case."""
    from accord.cli.connecting import resume

    resume(name)


@connect_app.command("check")
def connect_check(name: Connection) -> None:
    """Log in to a system and say who we are there."""
    from accord.cli.connecting import check

    check(name)


@connect_app.command("vendors")
def connect_vendors(as_json: AsJson = False) -> None:
    """The vendors there are, what they need, and what makes their writes safe."""
    from accord.cli.connecting import vendors

    vendors(as_json=as_json)


@key_app.command("create")
def key_create(
    name: Annotated[str, typer.Argument(help="Who will use it, for the audit trail.")],
    role: Annotated[list[str] | None, typer.Option(help="read, operate or admin; costs beside one of them.")] = None,
    legal_entity: Annotated[list[str] | None, typer.Option(help="Only these legal entities.")] = None,
) -> None:
    """Make an API key; it is shown once."""
    from accord.cli.connecting import create_api_key

    create_api_key(name, role or ["read"], legal_entity or [])


@cases_app.command("list")
def cases_list(
    as_json: AsJson = False,
    owner: Annotated[str | None, typer.Option(help="Only cases of this owner, such as finance.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only cases of this reason, such as activation_gate.")] = None,
    engagement: Annotated[str | None, typer.Option(help="Only cases of the engagement with this id.")] = None,
    clusters: Annotated[bool, typer.Option("--clusters", help="One line per cause.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most cases to print.")] = 50,
) -> None:
    """Open cases, the most money times age first."""
    from accord.cli.casework import show_list

    show_list(as_json=as_json, owner=owner, reason=reason, engagement=engagement, clusters=clusters, limit=limit)


@cases_app.command("show")
def cases_show(case: CaseNumber, as_json: AsJson = False) -> None:
    """One case with all its problems, attempts and what waits behind it."""
    from accord.cli.casework import show_one

    show_one(case, as_json=as_json)


@cases_app.command("correct")
def cases_correct(
    list_name: Annotated[str, typer.Option("--list", help="country, product, distinct_customers or time_project.")],
    given: Annotated[str, typer.Option(help="The text as the source has it.")],
    meaning: Annotated[str, typer.Option(help="What it means.")],
) -> None:
    """Declare what a source's text means, and retry every case that this cures."""
    from accord.cli.casework import correct

    correct(list_name, given, meaning)


@cases_app.command("retry")
def cases_retry(
    case: Annotated[list[int] | None, typer.Argument(help="Cases; with --signature all of one cause.")] = None,
    signature: Annotated[
        str | None, typer.Option(help="All cases of this cause; `accord cases list --clusters` shows causes.")
    ] = None,
) -> None:
    """Try again: what was read is read anew, and the story goes on where it stopped."""
    from accord.cli.casework import retry

    retry(case or [], signature)


@cases_app.command("resolve")
def cases_resolve(
    case: CaseNumber,
    answer: Annotated[str | None, typer.Option(help="Choose this option of a decision.")] = None,
    skip: Annotated[str | None, typer.Option(help="Go on without it, for this reason.")] = None,
    supply: Annotated[str | None, typer.Option(help="The vendor's id of the object made by hand.")] = None,
    cancel: Annotated[
        str | None, typer.Option(help="Cancel the story and take back what it did, for this reason.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Close a case that has no story behind it.")] = None,
) -> None:
    """Settle a case: answer, skip, supply the result, cancel, or close with a note."""
    from accord.cli.casework import resolve

    resolve(case, answer=answer, skip=skip, supply=supply, cancel=cancel, note=note)


Who = Annotated[str, typer.Option("--by", help="Who does this; it is kept in the audit trail.", envvar="USER")]


@terms_app.command("declare")
def terms_declare(
    file: Annotated[Path, typer.Argument(help="JSON: one object of terms, or a list of them.", dir_okay=False)],
    by: Who,
) -> None:
    """Declare billing terms. What says the same as before changes nothing; work without a price is tried again."""
    from accord.cli.billing import run_declare

    run_declare(file, by)


@people_app.command("declare")
def people_declare(
    file: Annotated[Path, typer.Argument(help="JSON: people, time_off, calendars, holidays.", dir_okay=False)], by: Who
) -> None:
    """Declare people with their hours, manager and cost, their absence and holidays. The same changes nothing."""
    from accord.cli.people import run_declare

    run_declare(file, by)


@app.command("missing-time", rich_help_panel="Look and act")
def missing_time(
    weeks: Annotated[int, typer.Option(min=1, max=53, help="So many weeks that are over.")] = 4,
    manager: Annotated[str | None, typer.Option(help="Only people of this manager, one by one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Who has not submitted time or has none approved, by manager, with the value at stake."""
    from accord.cli.people import run_missing_time

    run_missing_time(weeks, manager, as_json=as_json)


@terms_app.command("release")
def terms_release(
    engagement: Annotated[str, typer.Argument(help="Id of the engagement.")],
    entity: Annotated[str, typer.Argument(help="Code of the legal entity.")],
    by: Who,
    item: Annotated[
        list[str] | None, typer.Option(help="Items that go first, in this order; `accord explain` names them.")
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Set free those items alone.")] = False,
) -> None:
    """Set free what lies over a cap as far as the newest terms have room: chosen items first, then by day of work."""
    from accord.cli.rates import run_release

    run_release(engagement, entity, item or [], by, only=only)


@proposals_app.command("make")
def proposals_make(
    to: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day of work to be invoiced.")],
    engagement: Annotated[str | None, typer.Option(help="Only this engagement.")] = None,
    as_json: AsJson = False,
) -> None:
    """Propose invoices for the work in WIP up to a day. Asking again proposes what has come since."""
    from accord.cli.billing import run_propose

    run_propose(to.date(), "accord", engagement, as_json=as_json)


@proposals_app.command("list")
def proposals_list(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most proposals to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What waits for approval or for its invoice, the greatest amounts first."""
    from accord.cli.billing import run_proposals

    run_proposals(limit, as_json=as_json)


@proposals_app.command("approve")
def proposals_approve(
    proposal: Annotated[str, typer.Argument(help="Id of the proposal; `accord proposals list` shows them.")], by: Who
) -> None:
    """Approve a proposal; whoever changed it cannot."""
    from accord.cli.billing import run_approve

    run_approve(proposal, by)


Why = Annotated[str, typer.Option(help="Why; it is kept with what was done.")]
AdjustmentId = Annotated[str, typer.Argument(help="Id of the change; `accord adjustments list` shows them.")]


@app.command(rich_help_panel="Look and act")
def credit(
    invoice: Annotated[str, typer.Argument(help="The invoice, by its number or id.")],
    reason: Why,
    by: Who,
    line: Annotated[
        list[str] | None, typer.Option(help="A line as 3, or a net part of it as 3=120.50; without it all lines.")
    ] = None,
    rebill: Annotated[bool, typer.Option("--rebill", help="Their work is priced and invoiced anew.")] = False,
) -> None:
    """Ask for a credit of an issued invoice, by lines or parts of lines. Somebody else approves it."""
    from accord.cli.after_invoice import run_credit

    run_credit(invoice, line or [], reason, by, rebill=rebill)


CashId = Annotated[str, typer.Argument(help="Id of the unapplied cash; `accord cash list` shows them.")]


@cash_app.command("receive")
def cash_receive(
    customer: Annotated[str, typer.Argument(help="Canonical id of the customer.")],
    amount: Annotated[str, typer.Argument(help="What arrived, such as 1800.00.")],
    currency: Annotated[str, typer.Argument(help="Its currency, such as EUR.")],
    entity: Annotated[str, typer.Option(help="The legal entity that received it.")],
    on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day on which it came in.")],
    reference: Annotated[str, typer.Option(help="The bank's reference; the same twice is one receipt.")],
    by: Who,
    pays: Annotated[
        list[str] | None, typer.Option(help="An invoice and its share as ACC-0001=120.50; without it the oldest first.")
    ] = None,
    bank_fee: Annotated[str | None, typer.Option(help="What banks kept of it.")] = None,
) -> None:
    """Record money that came in beside billing, such as one transfer for many invoices."""
    from accord.cli.after_invoice import run_receipt

    run_receipt(
        customer, entity, amount, currency=currency, received_on=on.date(), reference=reference, pays=pays,
        bank_fee=bank_fee, by=by,
    )  # fmt: skip


@cash_app.command("list")
def cash_list(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Unapplied cash of which something is left, the oldest first."""
    from accord.cli.after_invoice import run_cash

    run_cash(limit, as_json=as_json)


@cash_app.command("apply")
def cash_apply(
    cash: CashId,
    invoice: Annotated[str, typer.Argument(help="The invoice to pay, by its number or id.")],
    by: Who,
    amount: Annotated[str | None, typer.Option(help="How much; without it as much as is open and there.")] = None,
) -> None:
    """Let unapplied cash pay an invoice of the same customer."""
    from accord.cli.after_invoice import run_apply

    run_apply(cash, invoice, amount, by)


@cash_app.command("refund")
def cash_refund(
    cash: CashId,
    reason: Why,
    by: Who,
    amount: Annotated[str | None, typer.Option(help="How much; without it all that is left.")] = None,
) -> None:
    """Ask for a refund of unapplied cash. Somebody else approves it."""
    from accord.cli.after_invoice import run_refund

    run_refund(cash, amount, reason, by)


DisputeId = Annotated[str, typer.Argument(help="Id of the dispute; `accord dispute list` shows them.")]


@dispute_app.command("open")
def dispute_open(
    invoice: Annotated[str, typer.Argument(help="The invoice, by its number or id.")],
    line: Annotated[list[str], typer.Option(help="A line as 3, or a net part of it as 3=120.50.")],
    reason: Why,
    by: Who,
    owner: Annotated[str, typer.Option(help="Who answers it.")] = "finance",
    days: Annotated[int, typer.Option(min=1, max=365, help="Days until it is to be answered.")] = 14,
) -> None:
    """Open a dispute of lines. Its evidence is put together; the rest of the invoice stays payable."""
    from accord.cli.disputes import run_open

    run_open(invoice, line, reason, by, owner=owner, days=days)


@dispute_app.command("list")
def dispute_list(
    status: Annotated[str, typer.Option(help="open or closed.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Disputes of lines, those to be answered first before the others."""
    from accord.cli.disputes import run_list

    run_list(status, limit, as_json=as_json)


@dispute_app.command("show")
def dispute_show(dispute: DisputeId, as_json: AsJson = False) -> None:
    """One dispute with its evidence: entries, approvals, rates, terms and clauses, and the amounts made again."""
    from accord.cli.disputes import run_show

    run_show(dispute, as_json=as_json)


@dispute_app.command("decide")
def dispute_decide(
    dispute: DisputeId,
    outcome: Annotated[str, typer.Argument(help="uphold, credit or rebill.")],
    note: Annotated[str, typer.Option(help="Why; the customer may be told.")],
    by: Who,
    line: Annotated[list[str] | None, typer.Option(help="Credit this instead of what is disputed, as 3=60.00.")] = None,
) -> None:
    """Decide a dispute. A credit is asked for by this; somebody else approves it."""
    from accord.cli.disputes import run_decide

    run_decide(dispute, outcome, line or [], note, by)


@app.command(rich_help_panel="Look and act")
def write_off(
    about: Annotated[str, typer.Argument(help="An invoice by number or id, or an item by its id.")],
    reason: Why,
    by: Who,
    amount: Annotated[
        str | None, typer.Option(help="Gross for an invoice, net for an item; without it all that is there.")
    ] = None,
) -> None:
    """Ask to give up what is open of an invoice, or not invoiced of an item. Somebody else approves it."""
    from accord.cli.after_invoice import run_write_off

    run_write_off(about, amount, reason, by)


@app.command(rich_help_panel="Look and act")
def transfer(
    item: Annotated[str, typer.Argument(help="An item by its id, such as `accord explain` names it.")],
    to: Annotated[str, typer.Argument(help="Canonical id of the engagement it belongs to.")],
    reason: Why,
    by: Who,
    amount: Annotated[str | None, typer.Option(help="Net; without it all that is not invoiced.")] = None,
) -> None:
    """Ask to move work to another engagement of its legal entity and currency. Somebody else approves it."""
    from accord.cli.after_invoice import run_transfer

    run_transfer(item, to, amount, reason, by)


@app.command(rich_help_panel="Look and act")
def write_up(
    engagement: Annotated[str, typer.Argument(help="Canonical id of the engagement.")],
    entity: Annotated[str, typer.Argument(help="Its legal entity, such as DE.")],
    amount: Annotated[str, typer.Argument(help="Net, in the currency of its terms.")],
    reason: Why,
    by: Who,
) -> None:
    """Ask to add value to an engagement's work, for its next invoice. Somebody else approves it."""
    from accord.cli.after_invoice import run_write_up

    run_write_up(engagement, entity, amount, reason, by)


@adjustments_app.command("list")
def adjustments_list(
    status: Annotated[str, typer.Option(help="requested, approved or refused.")] = "requested",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Changes of money that were asked for, the oldest first."""
    from accord.cli.after_invoice import run_adjustments

    run_adjustments(status, limit, as_json=as_json)


@adjustments_app.command("approve")
def adjustments_approve(adjustment: AdjustmentId, by: Who) -> None:
    """Approve a change of money that somebody else has asked for."""
    from accord.cli.after_invoice import run_approve

    run_approve(adjustment, by)


@adjustments_app.command("refuse")
def adjustments_refuse(adjustment: AdjustmentId, reason: Why, by: Who) -> None:
    """Refuse a change of money, or take back what one has asked for oneself."""
    from accord.cli.after_invoice import run_refuse

    run_refuse(adjustment, reason, by)


@app.command(rich_help_panel="Look and act")
def explain(
    name: Annotated[str, typer.Argument(help="An item, or a line as INVOICE/LINE, such as ACC-0001/2.")],
    as_json: AsJson = False,
) -> None:
    """Explain a number: clause, rate, entries, approvals and caps, with the amount made again."""
    from accord.cli.billing import run_explain

    run_explain(name, as_json=as_json)


@app.command(rich_help_panel="Look and act")
def reconcile(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most rows to show of each kind.")] = 200,
) -> None:
    """What is unexplained, and where two systems differ. Exit code 1 when there is anything."""
    from accord.cli.billing import run_reconcile

    run_reconcile(as_json=as_json, limit=limit)
