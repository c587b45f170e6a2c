"""Types of `bolide._actor`: what `@method` makes of a method, for callers and within the class."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    overload,
    type_check_only,
)

from ._hot import ActorHandle, ObjectRef, ObjectRefGenerator

_P = ParamSpec("_P")
_R = TypeVar("_R")
_D = TypeVar("_D")

# _D is what the method returns to code of its own class.
@type_check_only
class _MethodBase(Generic[_P, _D]):
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _D: ...
    def bind(self, *args: Any, **kwargs: Any) -> Any: ...

@type_check_only
class _Method(_MethodBase[_P, _D], Generic[_P, _D, _R]):
    @overload
    def remote(self, *args: _P.args, **kwargs: _P.kwargs) -> ObjectRef[_R]: ...
    @overload
    def remote(self, a: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[_R]: ...
    @overload
    def remote(self, a: Any, b: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[_R]: ...
    @overload
    def remote(
        self, a: Any, b: Any, c: ObjectRef[Any], /, *args: Any, **kwargs: Any
    ) -> ObjectRef[_R]: ...
    @overload
    def options(self, *, num_returns: int | str, **options: Any) -> _OtherMethod[_P, _D]: ...
    @overload
    def options(self, **options: Any) -> _Method[_P, _D, _R]: ...

@type_check_only
class _GeneratorMethod(_MethodBase[_P, _D], Generic[_P, _D, _R]):
    @overload
    def remote(self, *args: _P.args, **kwargs: _P.kwargs) -> ObjectRefGenerator[_R]: ...
    @overload
    def remote(self, a: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRefGenerator[_R]: ...
    @overload
    def options(self, *, num_returns: int | str, **options: Any) -> _OtherMethod[_P, _D]: ...
    @overload
    def options(self, **options: Any) -> _GeneratorMethod[_P, _D, _R]: ...

@type_check_only
class _OtherMethod(_MethodBase[_P, _D]):
    @overload
    def remote(self, *args: _P.args, **kwargs: _P.kwargs) -> Any: ...
    @overload
    def remote(self, a: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> Any: ...
    def options(self, **options: Any) -> _OtherMethod[_P, _D]: ...

@type_check_only
class _Annotate(Protocol):
    @overload
    def __call__(
        self, method: Callable[Concatenate[Any, _P], Coroutine[Any, Any, _R]], /
    ) -> _Method[_P, Coroutine[Any, Any, _R], _R]: ...
    @overload
    def __call__(
        self, method: Callable[Concatenate[Any, _P], AsyncIterator[_R]], /
    ) -> _GeneratorMethod[_P, AsyncIterator[_R], _R]: ...
    @overload
    def __call__(
        self, method: Callable[Concatenate[Any, _P], Iterator[_R]], /
    ) -> _GeneratorMethod[_P, Iterator[_R], _R]: ...
    @overload
    def __call__(self, method: Callable[Concatenate[Any, _P], _R], /) -> _Method[_P, _R, _R]: ...

@type_check_only
class _AnnotateOther(Protocol):
    def __call__(self, method: Callable[Concatenate[Any, _P], _D], /) -> _OtherMethod[_P, _D]: ...

@overload
def method(
    method: Callable[Concatenate[Any, _P], Coroutine[Any, Any, _R]], /
) -> _Method[_P, Coroutine[Any, Any, _R], _R]: ...
@overload
def method(
    method: Callable[Concatenate[Any, _P], AsyncIterator[_R]], /
) -> _GeneratorMethod[_P, AsyncIterator[_R], _R]: ...
@overload
def method(
    method: Callable[Concatenate[Any, _P], Iterator[_R]], /
) -> _GeneratorMethod[_P, Iterator[_R], _R]: ...
@overload
def method(method: Callable[Concatenate[Any, _P], _R], /) -> _Method[_P, _R, _R]: ...
@overload
def method(*, num_returns: int | str, **options: Any) -> _AnnotateOther: ...
@overload
def method(**options: Any) -> _Annotate: ...
def get_actor(name: str, namespace: str | None = None) -> ActorHandle[Any]: ...
@overload
def list_named_actors(all_namespaces: Literal[False] = False) -> list[str]: ...
@overload
def list_named_actors(all_namespaces: bool) -> list[Any]: ...
def kill(actor: Any, *, no_restart: bool = True) -> None: ...
def exit_actor() -> None: ...
