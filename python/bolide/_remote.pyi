"""Types of `bolide._remote`: a function's signature is that of its `.remote()`.

mypy takes no notice of what a decorator of a class returns, so ``Counter = remote(_Counter)`` is
the typed spelling of an actor class there; pyright knows both.
"""

from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, Protocol, TypeVar, overload, type_check_only

from ._actor_class import ActorClass
from ._hot import Exported, RemoteFunction, _RemoteGenerator, _RemoteOther
from ._options import TaskOptions
from ._place import Place

# A class can be called too, and a generator function is a function: of overloads the first that
# fits counts, which is what "overload-overlap" asks about.
_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S")

@type_check_only
class _Decorator(Protocol):
    @overload
    def __call__(self, cls: type[_S], /) -> ActorClass[_S]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[_P, Iterator[_R]], /
    ) -> _RemoteGenerator[_P, _R]: ...
    @overload
    def __call__(self, function: Callable[_P, _R], /) -> RemoteFunction[_P, _R]: ...

@type_check_only
class _OtherDecorator(Protocol):
    def __call__(self, function: Callable[_P, Any], /) -> _RemoteOther[_P]: ...

@overload
def remote(cls: type[_S], /) -> ActorClass[_S]: ...  # type: ignore[overload-overlap]
@overload
def remote(  # type: ignore[overload-overlap]
    function: Callable[_P, Iterator[_R]], /
) -> _RemoteGenerator[_P, _R]: ...
@overload
def remote(function: Callable[_P, _R], /) -> RemoteFunction[_P, _R]: ...
@overload
def remote(*, num_returns: int | str, **options: Any) -> _OtherDecorator: ...
@overload
def remote(**options: Any) -> _Decorator: ...
def make_remote(exported: Exported, options: TaskOptions) -> RemoteFunction[..., Any]: ...
def with_options(
    function: RemoteFunction[..., Any], options: dict[str, Any]
) -> RemoteFunction[..., Any]: ...
def class_of(
    resources: tuple[tuple[str, int], ...],
    place: Place | None = None,
    environment: int | None = None,
) -> int: ...
def first_class(options: TaskOptions) -> int: ...
def class_in_session(options: TaskOptions) -> tuple[int, int, bytes]: ...
