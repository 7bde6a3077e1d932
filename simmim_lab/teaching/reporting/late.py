"""What late work costs, by a rule of one line: "10% a day", "2 points an hour"."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

RULE = re.compile(r"(\d+(?:\.\d+)?)\s*(%|points?)\s*(?:an?|per)\s*(hour|day|week)", re.IGNORECASE)
LONG = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


@dataclass(frozen=True)
class Late:
    """A rule for what came after `due`. See `late`."""

    due: datetime
    amount: float
    percent: bool
    unit: str

    def units(self, submitted: str) -> int:
        """How many hours, days or weeks had begun after `due` at this time, in ISO 8601; 0 for one in time."""
        return max(0, math.ceil((moment(submitted) - self.due) / LONG[self.unit]))

    def told(self, submitted: str) -> str:
        """How late that is, such as "2 days"."""
        units = self.units(submitted)
        return f"{units} {self.unit}{'s' * (units != 1)}"

    def penalty(self, submitted: str, points: float, most: float) -> float:
        """The points to take off from `points`, of `most` that can be reached: never more than there are."""
        each = most * self.amount / 100 if self.percent else self.amount
        return min(points, round(each * self.units(submitted), 2))


def late(due: str, rule: str) -> Late:
    """A rule such as "10% a day" (of the points that can be reached) or "2 points a week", for every one begun.

    due: the last minute that costs nothing, in ISO 8601 ("2026-12-01 23:59"); without a time zone it is of this
    computer. ValueError for what cannot be read.
    """
    found = RULE.fullmatch(rule.strip())
    if not found:
        raise ValueError(f'{rule!r} is no rule for late work: write it like "10% a day" or "2 points an hour"')
    if ":" not in due:
        raise ValueError(f'{due!r} has no time of the day: write it like "2026-12-01 23:59"')
    return Late(moment(due).replace(second=59), float(found[1]), found[2] == "%", found[3].lower())


def moment(text: str) -> datetime:
    """A time in ISO 8601; without a time zone it is of this computer."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError:
        raise ValueError(f'{text!r} is no time: write it like "2026-12-01 23:59"') from None
