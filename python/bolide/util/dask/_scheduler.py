"""ray_dask_get: runs a graph of Dask's as tasks, one for each of its tasks.

How: the graph is walked once, in Dask's own order, and everything is submitted; what a task needs
are references in its arguments, so the node starts it when they are ready. References of
intermediate results are dropped as soon as all that need them were submitted, so a result goes as
soon as its last user has run.

Thread safety: calls do not share state. Invariants: one result for each key, whatever asks for it;
hooks are called in the thread that computes, but for pretask and posttask, which run in workers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

import dask
from dask._task_spec import Alias, DataNode, GraphNode, Task, convert_legacy_graph, cull
from dask.callbacks import local_callbacks, unpack_callbacks
from dask.core import flatten
from dask.local import nested_get, start_state_from_dask
from dask.order import order
from dask.utils import key_split

from ..._hot import ObjectRef, get, put
from ..._remote import remote
from ._callbacks import Hooks, local_hooks, show_progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SMALL = (int, float, complex, bool, str, type(None))


def enable_dask_on_ray(
    shuffle: str | None = "tasks", use_shuffle_optimization: bool | None = True
) -> dask.config.set:
    """Makes this scheduler Dask's default, for good or as a context manager.

    Args:
        shuffle: how Dask's data frames are shuffled: "tasks", or "disk".
        use_shuffle_optimization: there for Ray's sake; Dask optimizes shuffles by itself now.

    Example:
        >>> with enable_dask_on_ray():
        ...     frame.groupby("key").sum().compute()

    Follows Ray's page "Using Dask on Ray".
    """
    return dask.config.set({"scheduler": ray_dask_get, "dataframe.shuffle.method": shuffle})


def disable_dask_on_ray() -> dask.config.set:
    """Gives Dask its own schedulers back, for good or as a context manager."""
    return dask.config.set({"scheduler": None, "dataframe.shuffle.method": None})


def dataframe_optimize(dsk: Any, keys: Any, **_: Any) -> dict:
    """The tasks of a graph that `keys` need. Dask itself has optimized shuffles before this."""
    return dict(cull(_graph(dsk), set(flatten([keys]))))


def ray_dask_get(dsk: Any, keys: Any, **kwargs: Any) -> Any:
    """Computes keys of a Dask graph on bolide's workers.

    Args:
        dsk: the graph: a mapping, or one of Dask's expressions.
        keys: a key, or nested lists of keys.
        **kwargs: `ray_callbacks`, RayDaskCallbacks in place of those that are active;
            `ray_remote_args`, options of the tasks; `ray_persist`, return references;
            `_ray_enable_progress_bar`. Others, such as `num_workers`, have no effect.

    Returns:
        The results, in tuples as the lists of `keys` are nested.

    Raises:
        Exception: what a task raised, as `get` raises it.

    Example:
        >>> dask.compute(array.sum(), scheduler=ray_dask_get)

    Follows Ray's page "Using Dask on Ray".
    """
    options = kwargs.get("ray_remote_args") or {}
    of_keys = _annotated(dsk)
    wanted = list(flatten(keys)) if isinstance(keys, list) else [keys]
    graph = dict(cull(_graph(dsk), set(wanted)))
    with local_hooks(kwargs.get("ray_callbacks")) as hooks, local_callbacks() as callbacks:
        observer = _Observer(callbacks, graph, wanted)
        failed = True
        try:
            run = _Run(graph, hooks, observer, options, of_keys)
            refs = run.submit(wanted)
            for postsubmit_all in hooks.postsubmit_all:
                postsubmit_all([refs[key] for key in wanted], graph)
            if kwargs.get("ray_persist"):
                refs = {key: _keep(key, value) for key, value in refs.items()}
            else:
                if kwargs.get("_ray_enable_progress_bar"):
                    show_progress(list(refs.values()))
                refs = _fetch(refs)
            result = nested_get(keys, refs)
            failed = False
        finally:
            observer.finish(failed)
        for finish in hooks.finish:
            finish(result)
    return result


def ray_dask_get_sync(dsk: Any, keys: Any, **kwargs: Any) -> Any:
    """`ray_dask_get`, which submits from the calling thread in any case."""
    return ray_dask_get(dsk, keys, **kwargs)


def _graph(dsk: Any) -> dict[Hashable, GraphNode]:
    """The graph in Dask's newer form, whichever it has."""
    if not isinstance(dsk, Mapping):
        dsk = dsk.__dask_graph__()
    return convert_legacy_graph(dict(dsk))


def _annotated(dsk: Any) -> dict[Hashable, dict[str, Any]]:
    """Options of single tasks: of `dask.annotate(ray_remote_args=...)`."""
    annotations = getattr(dsk, "__dask_annotations__", None)
    return annotations().get("ray_remote_args", {}) if annotations is not None else {}


def _fetch(refs: dict[Hashable, Any]) -> dict[Hashable, Any]:
    """The values of all references, fetched at once."""
    keys = [key for key, value in refs.items() if isinstance(value, ObjectRef)]
    return {**refs, **dict(zip(keys, get([refs[key] for key in keys])))}


class _Kept:
    """A reference in a graph. Dask tells graphs apart by pickling them, unless they say how."""

    def __init__(self, ref: ObjectRef) -> None:
        self.ref = ref

    def __dask_tokenize__(self) -> str:
        return self.ref.hex()


def _get_kept(kept: _Kept) -> Any:
    return get(kept.ref)


def _keep(key: Hashable, value: Any) -> Any:
    """What a persisted collection has for a key: a task, so that every scheduler can run it."""
    return Task(key, _get_kept, _Kept(value)) if isinstance(value, ObjectRef) else value


def kept_ref(node: Any) -> ObjectRef | None:
    """The reference that a node of a persisted collection holds; None for other nodes."""
    if isinstance(node, Task) and node.func is _get_kept:
        return node.args[0].ref
    return None


class _Run:
    """One graph on its way to the workers."""

    def __init__(
        self,
        graph: dict[Hashable, GraphNode],
        hooks: Hooks,
        observer: _Observer,
        options: dict[str, Any],
        of_keys: dict[Hashable, dict[str, Any]],
    ) -> None:
        self._graph = graph
        self._hooks = hooks
        self._observer = observer
        self._options = options
        self._of_keys = of_keys
        self._in_workers = put(hooks.in_workers) if any(hooks.in_workers) else None
        self._remotes: dict[str, Any] = {}

    def submit(self, wanted: Iterable[Hashable]) -> dict[Hashable, Any]:
        """Submits everything; a reference or a small value for each of `wanted`."""
        graph = self._graph
        users: dict[Hashable, int] = dict.fromkeys(wanted, 1)
        for node in graph.values():
            for key in node.dependencies:
                users[key] = users.get(key, 0) + 1
        refs: dict[Hashable, Any] = {}
        priority = order(graph)
        for key in sorted(graph, key=priority.__getitem__):
            node = graph[key]
            self._observer.before(key)
            refs[key] = self._submit_one(key, node, refs)
            self._observer.after(key, refs[key])
            for needed in node.dependencies:
                users[needed] -= 1
                if not users[needed]:
                    del refs[needed]
        return refs

    def _submit_one(self, key: Hashable, node: GraphNode, refs: dict[Hashable, Any]) -> Any:
        if isinstance(node, DataNode):
            value = node()
            return value if isinstance(value, _SMALL) else put(value)
        if isinstance(node, Alias):
            return refs[node.target]
        kept = kept_ref(node)
        if kept is not None:
            return kept
        needed = {name: refs[name] for name in node.dependencies}
        for presubmit in self._hooks.presubmit:
            instead = presubmit(node, key, needed)
            if instead is not None:
                return instead if isinstance(instead, ObjectRef) else put(instead)
        ref = self._remote(key).remote(node, tuple(needed), self._in_workers, *needed.values())
        for postsubmit in self._hooks.postsubmit:
            postsubmit(node, key, needed, ref)
        return ref

    def _remote(self, key: Hashable) -> Any:
        """The task, named after what Dask calls the layer of `key`."""
        own = self._of_keys.get(key)
        name = f"dask:{key_split(key)}"
        if own:
            return remote(**{"name": name, **self._options, **own})(_execute)
        made = self._remotes.get(name)
        if made is None:
            made = remote(**{"name": name, **self._options})(_execute)
            self._remotes[name] = made
        return made


def _execute(
    node: GraphNode, needed: tuple[Hashable, ...], hooks_in_workers: Any, *values: Any
) -> Any:
    """The task: one node of the graph, with the values of the keys that it needs."""
    if hooks_in_workers is None:
        return node(dict(zip(needed, values)))
    states = [pre and pre(node.key, values) for pre, _ in hooks_in_workers]
    result = node(dict(zip(needed, values)))
    for (_, post), state in zip(hooks_in_workers, states):
        if post is not None:
            post(node.key, result, state)
    return result


class _Observer:
    """Dask's own callbacks, told of submissions: for them a task has run when it was submitted."""

    def __init__(self, callbacks: Any, graph: Any, wanted: list[Hashable]) -> None:
        start, start_state, self._pre, self._post, self._finish = unpack_callbacks(callbacks)
        self._graph = graph
        self._state: dict[str, Any] = {}
        if callbacks:
            for hook in start:
                hook(graph)
            self._state = start_state_from_dask(graph, keys=wanted)
            for hook in start_state:
                hook(graph, self._state)

    def before(self, key: Hashable) -> None:
        for hook in self._pre:
            hook(key, self._graph, self._state)

    def after(self, key: Hashable, result: Any) -> None:
        if self._state:
            self._state["finished"].add(key)
        for hook in self._post:
            hook(key, result, self._graph, self._state, 0)

    def finish(self, failed: bool) -> None:
        for hook in self._finish:
            hook(self._graph, self._state, failed)
