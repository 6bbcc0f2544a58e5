"""What Salesforce's errors mean for us: a list of `{message, errorCode, fields?}` (vendors.md 1.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.connect.errortable import ErrorTable, Then, VendorError
from accord.engine.outcomes import Outcome

CODES: Mapping[str, Then] = {
    "REQUEST_LIMIT_EXCEEDED": Then.SLOW_DOWN,  # the day's calls are spent, or too many long ones run
    "UNABLE_TO_LOCK_ROW": Then.RETRY,
    "PROCESSING_HALTED": Then.RETRY,
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": Then.RETRY,
    "QUERY_TIMEOUT": Then.RETRY,
    "INVALID_QUERY_LOCATOR": Then.RETRY,  # the cursor is gone: the poll begins again at its watermark
    "SERVER_UNAVAILABLE": Then.DOWN,
    "SERVICE_UNAVAILABLE": Then.DOWN,
    "UNKNOWN_EXCEPTION": Then.ASK,
    # What is wrong with one record: somebody has to correct it, there or here.
    "DUPLICATE_VALUE": Then.REJECT,
    "DUPLICATES_DETECTED": Then.REJECT,
    "REQUIRED_FIELD_MISSING": Then.REJECT,
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": Then.REJECT,
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": Then.REJECT,
    "STRING_TOO_LONG": Then.REJECT,
    "INVALID_CROSS_REFERENCE_KEY": Then.REJECT,
    "INACTIVE_OWNER_OR_USER": Then.REJECT,
    "FIELD_INTEGRITY_EXCEPTION": Then.REJECT,
    "JSON_PARSER_ERROR": Then.REJECT,
    "MALFORMED_ID": Then.REJECT,
    "ENTITY_IS_DELETED": Then.REJECT,
    "ENTITY_IS_LOCKED": Then.REJECT,
    # What is wrong with the connection: every record would be refused, or read without a field.
    "INVALID_SESSION_ID": Then.PAUSE,
    "INVALID_FIELD": Then.PAUSE,
    "INVALID_TYPE": Then.PAUSE,
    "INVALID_FIELD_FOR_INSERT_UPDATE": Then.PAUSE,
    "MALFORMED_QUERY": Then.PAUSE,
    "INSUFFICIENT_ACCESS_OR_READONLY": Then.PAUSE,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": Then.PAUSE,
    "API_CURRENTLY_DISABLED": Then.PAUSE,
    "API_DISABLED_FOR_ORG": Then.PAUSE,
    "STORAGE_LIMIT_EXCEEDED": Then.PAUSE,
    # Records are only ever addressed inside a body, so an address that is not there is an object or field that is gone.
    "NOT_FOUND": Then.PAUSE,
}


def read_errors(body: Any) -> tuple[VendorError, ...]:
    """The errors of a refused call; the token endpoint has a shape of its own."""
    if isinstance(body, Mapping):
        code = body.get("error") or body["errorCode"]
        return (VendorError(str(code), str(body.get("error_description") or body.get("message") or code)),)
    return tuple(
        VendorError(str(each["errorCode"]), str(each.get("message", "")), tuple(map(str, each.get("fields") or ())))
        for each in body
    )


TABLE = ErrorTable(read=read_errors, codes=CODES)
# A record in a batch that is not there is that record's trouble.
_MEMBERS = ErrorTable(read=read_errors, codes={**CODES, "NOT_FOUND": Then.REJECT})


def classify(status: int, headers: Mapping[str, str], body: Any) -> Outcome:
    """The outcome of a call that is no success."""
    return TABLE.classify(status, headers, body)


def member_outcome(errors: Any) -> Outcome:
    """The outcome of one failed record of a collection: `[{statusCode, message, fields}]`, under HTTP 200."""
    found = tuple(
        VendorError(
            str(each.get("statusCode")), str(each.get("message", "")), tuple(map(str, each.get("fields") or ()))
        )
        for each in errors or ()
    )
    first = next((each for each in found if each.code in CODES), None) or (found or (VendorError("UNKNOWN", ""),))[0]
    return _MEMBERS.outcome(first, others=found)
