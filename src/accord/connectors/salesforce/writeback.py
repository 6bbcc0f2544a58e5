"""What Accord writes into Salesforce, as tables: our fields on accounts and opportunities, invoices, tasks."""

from __future__ import annotations

from accord.connect.mapping import Mapping, coded, day, flag, link, money, own, text
from accord.model.billing import Invoice
from accord.model.customer import CustomerStatus, Notice
from accord.model.deal import Handover

# The currency of an opportunity or account is the CRM's: amounts are written without it, once it is seen to be theirs.
HANDOVER = Mapping(
    "salesforce.handover",
    "handover",
    "Opportunity",
    of=Handover,
    rows=(
        text("deal_id", "Accord_Engagement__c", max_length=80, required=True, owner="accord"),
        text("project_number", "Project_Number__c", max_length=40, owner="accord"),
        text("project_status", "Project_Status__c", max_length=40, owner="accord"),
        text("payment_status", "Payment_Status__c", max_length=40, owner="accord"),
        money("billed", "Billed_Amount__c", currency_at="CurrencyIsoCode", owner="accord"),
        money("paid", "Paid_Amount__c", currency_at="CurrencyIsoCode", owner="accord"),
        text("status", "Accord_Status__c", max_length=80, cut=True, owner="accord"),
    ),
)
CUSTOMER_STATUS = Mapping(
    "salesforce.customer_status",
    "customer_status",
    "Account",
    of=CustomerStatus,
    rows=(
        text("payment_status", "Payment_Status__c", max_length=40, required=True, owner="accord"),
        money("receivable", "AR_Balance__c", currency_at="CurrencyIsoCode", required=True, owner="accord"),
    ),
)
INVOICE = Mapping(
    "salesforce.invoice",
    "invoice",
    "Invoice__c",
    of=Invoice,
    rows=(
        own("Accord_Invoice__c", owner="accord"),
        link("deal_id", "Opportunity__c", kind="deal"),
        link("customer_id", "Account__c", kind="customer"),
        text("number", "Number__c", max_length=80),
        text("legal_entity", "Legal_Entity__c", max_length=40),
        text("currency", "CurrencyIsoCode", required=True),
        money("net", "Net__c", currency_from="currency"),
        money("tax", "Tax__c", currency_from="currency"),
        money("gross", "Gross__c", currency_from="currency"),
        money("paid", "Paid__c", currency_from="currency"),
        text("status", "Status__c", max_length=40),
        day("due_on", "Due_Date__c"),
        flag("disputed", "Disputed__c"),
    ),
)
_PRIORITY = {True: "High", False: "Normal"}
NOTICE = Mapping(
    "salesforce.notice",
    "notice",
    "Task",
    of=Notice,
    rows=(
        own("Accord_Notice__c", owner="accord"),
        link("about_id", "WhatId", kind="deal"),
        text("subject", "Subject", max_length=255, cut=True, required=True),
        text("text", "Description", max_length=32_000, cut=True),
        coded(
            "urgent",
            "Priority",
            decode=lambda word: word == "High",
            encode=lambda urgent: _PRIORITY[urgent],
            examples=(True, False),
        ),
    ),
)
