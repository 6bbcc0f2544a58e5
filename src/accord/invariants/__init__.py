"""What must hold whatever happens: one promise a file, checked after every step of the simulation and on a schedule in
production. Each is a question to the database whose every row is a violation."""

from accord.invariants.asked import INVARIANTS, check_always, check_settled, compare_vendors
from accord.invariants.invariant import Invariant, Violation
from accord.invariants.vendors_agree import Holding

__all__ = ["INVARIANTS", "Holding", "Invariant", "Violation", "check_always", "check_settled", "compare_vendors"]
