"""What crosses the boundary: inputs forbid what they do not know, outputs have no defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from accord.db.storable import StorableObject

Text = Annotated[str, Field(min_length=1, max_length=2000)]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Output(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Problem(Output):
    """RFC 9457, and the cure."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    cure: str


class Money(Output):
    """An exact amount as text, in the minor unit of its currency."""

    amount: Annotated[str, BeforeValidator(str)]
    currency: str


class StartProcess(Input):
    """The fact that starts a process, such as `deal.won` about a deal's canonical id."""

    type: Annotated[str, Field(min_length=3, max_length=100, pattern=r"^[a-z_]+\.[a-z_]+$")]
    subject: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
    payload: StorableObject = Field(default_factory=dict)


class Started(Output):
    """The processes a fact stands behind; `new` says whether this request started any."""

    processes: list[int]
    new: bool


class Process(Output):
    id: int
    name: str
    version: str
    subject: str
    engagement: str | None
    started_at: datetime
    finished_at: datetime | None
    state: str


class Processes(Output):
    processes: list[Process]
    next: str | None


class Effect(Output):
    id: int
    connection: str
    kind: str
    verb: str
    canonical_id: str
    label: str
    state: str
    attempts: int
    money: Money | None
    vendor_id: str | None
    intended_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    waits: str | None
    shared: bool


class ProcessStory(Process):
    """A process with its writes. `cases` are the open ones."""

    trigger: Mapping[str, Any]
    result: Any
    effects: list[Effect]
    cases: list[int]


class EngagementLine(Output):
    id: str
    number: str | None
    name: str
    customer: str | None
    status: str
    value: list[Money]
    billed: list[Money]
    paid: list[Money]
    disputed: bool
    stuck: int
    last_at: datetime | None


class Engagements(Output):
    engagements: list[EngagementLine]
    next: str | None


class Invoice(Output):
    id: str
    number: str | None
    legal_entity: str
    origin: str
    status: str
    issued_on: str | None
    due_on: str | None
    net: Money
    tax: Money
    gross: Money
    paid: Money
    posted: bool
    disputed: bool
    refs: Mapping[str, str]
    payments: list[Mapping[str, Any]]


class Ledger(Output):
    """The ledger of one legal entity and currency; `unexplained` must be 0."""

    legal_entity: str
    currency: str
    approved: Annotated[str, BeforeValidator(str)]
    dispositions: Mapping[str, Annotated[str, BeforeValidator(str)]]
    unexplained: Annotated[str, BeforeValidator(str)]


class Engagement(Output):
    id: str
    number: str | None
    name: str
    status: str
    stage: str | None
    customer_id: str | None
    customer: str | None
    region: str | None
    contract_type: str | None
    activated_on: str | None
    projects: list[Mapping[str, Any]]
    value: list[Money]
    billed: list[Money]
    paid: list[Money]
    milestones: list[Mapping[str, Any]]
    services: list[Mapping[str, Any]]
    invoices: list[Invoice]
    ledger: list[Ledger]
    stuck: int


class TimelineEntry(Output):
    """As `accord trace --json` prints it. `at` is when we knew; `ref` the system's own id."""

    at: datetime
    system: str
    what: str
    actor: str
    money: Money | None
    latency_ms: float | None
    ref: str | None


class Timeline(Output):
    """`open` are waits and cases that are not over; `cut` says that older entries were left out."""

    engagement: str
    entries: list[TimelineEntry]
    open: list[TimelineEntry]
    cut: bool


class CaseProblem(Output):
    code: str
    message: str
    field: str
    cure: str


class Case(Output):
    id: int
    reason: str
    title: str
    owner: str
    money: Money | None
    state: str
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    note: str | None
    connection: str | None
    engagement: str | None
    engagement_name: str | None
    process_id: int | None
    effect_id: int | None
    signature: str
    problems: list[CaseProblem]
    options: list[str]


class Cases(Output):
    cases: list[Case]
    next: str | None


class Attempt(Output):
    at: datetime
    what: str
    outcome: str
    reason: str


class Behind(Output):
    what: str
    count: int
    money: Money | None


class Remedy(Output):
    how: str
    code: str
    name: str
    given: str
    choices: list[str]
    effect: str


class CaseFile(Output):
    """A case with what waits behind it, the attempts of its write, the cures offered and the verbs that settle it."""

    case: Case
    attempts: list[Attempt]
    behind: list[Behind]
    remedies: list[Remedy]
    verbs: list[str]
    undone_by_cancel: list[str]


class Cluster(Output):
    signature: str
    reason: str
    title: str
    owner: str
    connection: str | None
    cases: int
    oldest_at: datetime
    money: list[Money]


class Clusters(Output):
    clusters: list[Cluster]


class Reason(Input):
    reason: Text


class Note(Input):
    note: Text


class Answer(Input):
    option: Text


class Supplied(Input):
    """The write was done by hand: the vendor's id of it, and details the process needs, such as `number`."""

    vendor_id: Annotated[str, Field(min_length=1, max_length=200)]
    details: StorableObject = Field(default_factory=dict)


class CorrectField(Input):
    field: Annotated[str, Field(min_length=1, max_length=100)]
    value: Annotated[str, Field(min_length=1, max_length=500)]


class Cause(Input):
    signature: Annotated[str, Field(min_length=1, max_length=500)]


class Declaration(Input):
    """What a source's text means: `list` is country, product or distinct_customers."""

    list: Annotated[str, Field(min_length=1, max_length=50)]
    given: Annotated[str, Field(min_length=1, max_length=500)]
    meaning: Annotated[str, Field(min_length=1, max_length=500)]


class Retried(Output):
    """How many cases are tried again."""

    retried: int


class Health(Output):
    status: str


class Readiness(Output):
    """Whether requests can be served: `checks` maps each check to ok or what is wrong."""

    status: str
    checks: Mapping[str, str]
