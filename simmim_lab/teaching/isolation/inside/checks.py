"""What stands in a sandbox in the place of `simmim_lab.checks`: every check is there, and does nothing."""


def yours_or_ours(answer):
    return answer


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _check


def _check(*args, **kwargs):
    pass


_check.grade = _check
