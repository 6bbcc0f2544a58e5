"""One suite over every vendor. A vendor's test gives a Bench; every check is a function of it.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_conforms(check, bench):
        try:
            await check(bench)
        except NotApplicable as why:
            pytest.skip(str(why))

A check raises AssertionError with the kind and what happened, or NotApplicable with the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from accord.connect.conformance.bench import Bench, NotApplicable, PushCase, ReadCase, WriteCase
from accord.connect.conformance.calling import (
    an_expired_lease_sends_nothing,
    an_expired_token_is_renewed_once,
    refused_credentials_do_not_loop,
    secrets_are_never_shown,
    the_budget_is_never_exceeded,
)
from accord.connect.conformance.mappings import mappings_keep_the_law
from accord.connect.conformance.pushing import (
    a_duplicate_push_has_the_same_ids,
    a_forged_push_is_refused,
    a_genuine_push_is_let_in,
    a_huge_push_is_refused_unread,
    an_old_push_is_refused,
)
from accord.connect.conformance.reading import (
    a_renamed_field_is_not_silent,
    a_watermark_never_goes_back,
    objects_are_read_by_id,
    reads_all_pages_and_stops,
    the_same_page_twice_is_an_error,
)
from accord.connect.conformance.writing import (
    a_batch_answers_one_outcome_each,
    a_lost_answer_is_found_by_the_probe,
    a_lost_request_is_found_absent,
    put_twice_is_one_record,
    too_many_calls_wait_what_the_vendor_says,
    what_is_refused_is_not_tried_again,
)

__all__ = ["CHECKS", "Bench", "Check", "NotApplicable", "PushCase", "ReadCase", "WriteCase"]

Check = Callable[[Bench], Awaitable[None]]

CHECKS: tuple[Check, ...] = (
    reads_all_pages_and_stops,
    the_same_page_twice_is_an_error,
    a_watermark_never_goes_back,
    objects_are_read_by_id,
    a_renamed_field_is_not_silent,
    put_twice_is_one_record,
    a_lost_answer_is_found_by_the_probe,
    a_lost_request_is_found_absent,
    too_many_calls_wait_what_the_vendor_says,
    what_is_refused_is_not_tried_again,
    a_batch_answers_one_outcome_each,
    an_expired_token_is_renewed_once,
    refused_credentials_do_not_loop,
    the_budget_is_never_exceeded,
    an_expired_lease_sends_nothing,
    secrets_are_never_shown,
    a_genuine_push_is_let_in,
    a_duplicate_push_has_the_same_ids,
    a_forged_push_is_refused,
    an_old_push_is_refused,
    a_huge_push_is_refused_unread,
    mappings_keep_the_law,
)
