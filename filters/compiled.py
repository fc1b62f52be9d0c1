"""numba's compiler with our settings; only modules of kernels import this, and filters import those when called."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

from filters.letters import SPACES, Ranges

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile on the first call, keep the machine code on disk, release the lock while running."""
    # numba's dispatcher is called as the function is, which its stubs do not say
    return cast(Function, njit(cache=True, nogil=True)(function))


@compiled
def within(code: int, ranges: Ranges) -> bool:
    """Whether a code point lies in one of the ranges (ends included)."""
    for low, high in ranges:  # noqa: SIM110  numba compiles no generators
        if low <= code <= high:
            return True
    return False


@compiled
def is_space(code: int) -> bool:
    """Whether a code point is white space."""
    return within(code, SPACES)
