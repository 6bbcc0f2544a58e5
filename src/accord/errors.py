"""Errors a person may meet. The class says what to do next; the message is one sentence with the cure.

AccordError
├── UsageError          the command or request is wrong: correct it                      exit 2, HTTP 400
├── NotFound            nothing has that name                                            exit 4, HTTP 404
├── Conflict            the thing is not in a state that allows this                     exit 5, HTTP 409
├── Unavailable         something needed is not reachable now: try again later           exit 6, HTTP 503
├── NotPermitted        this caller may not do this                                      exit 7, HTTP 403
└── CheckFailed         the work was done but a check of its result does not hold        exit 1
"""

from __future__ import annotations


class AccordError(Exception):
    """Something Accord can explain."""

    exit_code = 1
    http_status = 500
    title = "Error"


class UsageError(AccordError):
    exit_code = 2
    http_status = 400
    title = "Bad request"


class NotFound(AccordError):
    exit_code = 4
    http_status = 404
    title = "Not found"


class Conflict(AccordError):
    exit_code = 5
    http_status = 409
    title = "Conflict"


class Unavailable(AccordError):
    exit_code = 6
    http_status = 503
    title = "Unavailable"


class NotPermitted(AccordError):
    exit_code = 7
    http_status = 403
    title = "Not permitted"


class CheckFailed(AccordError):
    exit_code = 1
    title = "Check failed"
