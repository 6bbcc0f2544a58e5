"""The price of work: rates, caps, retainers, usage and expenses of one engagement's billing terms. Pure."""

from accord.rules.rating.pricer import Part, Pricer, Rated
from accord.rules.rating.release import Released, release

__all__ = ["Part", "Pricer", "Rated", "Released", "release"]
