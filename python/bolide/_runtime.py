"""init, shutdown and what lies between: the one runtime of this process.

It is not the node (C++) and not the calls (`bolide._hot`). A process has at most one session; in
a worker it is the worker's link to the node, made by `bolide._worker`.

Thread safety: init and shutdown take a lock; the rest may be called from any thread. Invariants:
after `_at_exit` nothing starts again; in a forked child the parent's session is unusable.
"""

from __future__ import annotations

import atexit
import os
from _thread import RLock

from . import _config, _core, _hot, _job
from ._context import RayContext
from ._environments import Environments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_lock = RLock()
_node: _core.Node | None = None
_service: Any = None
_environments: Environments | None = None
_exiting = False
_pid = os.getpid()
# Keywords of Ray's init, of this and earlier versions, that have nothing to act on here.
_IGNORED = (
    "include_dashboard", "dashboard_host", "dashboard_port", "job_config",
    "configure_logging", "logging_level", "logging_format", "logging_config",
    "enable_resource_isolation", "cgroup_path", "system_reserved_cpu", "system_reserved_memory",
    "proxy_server_url",
)  # fmt: skip
_IGNORED_WITH_WARNING = (
    "_enable_object_reconstruction", "_redis_max_memory", "_plasma_directory", "_node_ip_address",
    "_driver_object_store_memory", "_memory", "_redis_username", "_redis_password", "_temp_dir",
    "_metrics_export_port", "_system_config", "_tracing_startup_hook", "_node_name", "_lru_evict",
    "_java_worker_options", "_code_search_path", "_load_code_from_local",
    "_object_spilling_config",
)  # fmt: skip


def init(
    address: str | None = None,
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: dict[str, float] | None = None,
    object_store_memory: int | None = None,
    object_spilling_directory: str | None = None,
    labels: dict[str, str] | None = None,
    namespace: str | None = None,
    ignore_reinit_error: bool = False,
    log_to_driver: bool = True,
    runtime_env: dict[str, Any] | None = None,
    local_mode: bool = False,
    **others: Any,
) -> RayContext:
    """Starts the runtime in this process; the first remote call does so too.

    Args:
        address: None or "local"; this version attaches to nothing.
        num_cpus: how many CPUs' worth of tasks run at a time; the usable cores by default.
        num_gpus: GPUs that tasks may ask for; by default those that CUDA_VISIBLE_DEVICES names, or
            all that there are.
        resources: custom resources, names to quantities.
        object_store_memory: bytes that objects in shared memory may take; 30 % of the memory by
            default.
        object_spilling_directory: where objects go that memory has no room for; a directory that
            exists and can be written. By default that of TMPDIR, else /var/tmp. The files have no
            names there and are gone with this process.
        labels: of the node, for `label_selector`: names to values.
        namespace: where names of actors count; by default one of this session's own.
        ignore_reinit_error: return the running runtime instead of raising.
        log_to_driver: print what workers print.
        runtime_env: of the workers of the job, a dict (docs/drop_in.md); tasks and actors may have
            their own. Without effect in local_mode.
        local_mode: run every call in this process, in the thread that makes it, at once (of actors
            that run several calls at a time in other threads), for debuggers, coverage and
            profilers.
        **others: Ray's other keywords are accepted without effect, those that begin with an
            underscore with one warning that names them.

    Returns:
        A RayContext, as Ray's: a mapping with the addresses, and a context manager that shuts down.

    Raises:
        RuntimeError: it runs already, the interpreter is exiting, or a keyword is unknown.
        ValueError, TypeError: a value is out of range.

    Example:
        >>> with init(num_cpus=2):
        ...     get(f.remote(1))

    Follows Ray's page "ray.init".
    """
    global _node, _service, _environments
    from . import _accelerators, _labels
    from ._node_state import quantity
    from ._node_state import totals as node_totals
    from ._runtime_env import check as check_environment

    with _lock:
        _check_keywords(address, namespace, others)
        if is_initialized():
            if ignore_reinit_error:
                return _context()
            raise RuntimeError(
                "Maybe you called ray.init twice by accident? This error can be suppressed by "
                "passing in 'ignore_reinit_error=True' or by calling 'ray.shutdown()' prior to "
                "'ray.init()'."
            )
        environment = check_environment(runtime_env)
        if _exiting:
            raise RuntimeError("bolide cannot start while the interpreter is exiting")
        session = _hot.current_session()
        if session is not None and session.is_worker:
            raise RuntimeError("bolide.init() was called in a task; the runtime runs already")
        memory = _config.get("object_store_memory", object_store_memory)
        if memory is None:
            memory = int(_core.total_memory() * 0.3)
        spilling = _spilling_directory(object_spilling_directory)
        _job.current = job = _job.Job()
        job.namespace = namespace or _job.anonymous_namespace()
        job.runtime_env = environment
        job.labels = _labels.check_labels(labels)
        gpus, job.gpus = _accelerators.find(quantity("num_gpus", num_gpus))
        job.accelerator = _accelerators.kind() if gpus else None
        cpus, totals = node_totals(num_cpus, gpus, resources, memory)
        _environments = Environments(job)
        argv, env, settings = ([], [], b"") if local_mode else _environments.home()
        _node = _from_core(
            _core.Node.start,
            num_cpus=cpus,
            resources=totals,
            object_store_memory=memory,
            spill_directory=spilling,
            memory_refresh=_config.get("memory_monitor_refresh_ms") / 1000,
            memory_threshold=_config.get("memory_usage_threshold"),
            meminfo=_config.get("meminfo"),
            spin_ns=_config.get("spin_us") * 1000,
            inline_limit=_config.get("inline_limit_bytes"),
            max_blocked_per_core=_config.get("max_blocked_per_core"),
            start_timeout=_config.get("start_timeout_s"),
            forward_output=bool(log_to_driver),
            argv=argv,
            env=env,
            settings=settings,
        )
        try:
            session = _hot.Session(_node)
            session.record_tasks(_config.get("timeline") == "on")
            session.note_sites(_config.get("record_ref_creation_sites") == "on")
            if local_mode:
                from .engines.inline import InlineEngine

                session.use_engine(InlineEngine(_node))
            _hot.set_session(session)
            from ._service import Service

            _service = Service(_node, _environments)
            if not local_mode:
                _environments.begin(_node)
        except BaseException as error:  # no thread to be had, or Ctrl-C: nothing half-made stays
            _node.stop()
            _node = None
            session = _hot.current_session()
            if session is not None:
                session.close()
            if not isinstance(error, RuntimeError):
                raise
            raise _make_system_error(
                0, f"cannot start the service thread: {error} (errno 11)".encode()
            ) from None
        return _context()


def shutdown() -> None:
    """Stops the runtime: workers end, references become useless, views stay readable.

    Does nothing when nothing runs. Follows Ray's page "ray.shutdown".
    """
    global _node, _service, _environments
    service = environments = None
    try:
        with _lock:
            session = _hot.current_session()
            if _node is None or session is None or session.is_worker:
                return
            service, environments = _service, _environments
            _node = _service = _environments = None
            _close(session)
    finally:
        # Without the lock: callbacks of futures end here, and they may use the module. At exit only
        # daemon threads can still wait for one, and they are not to be woken.
        if environments is not None:
            environments.stop()
        if service is not None:
            service.stop(settle_futures=not _exiting)
        if environments is not None:
            environments.close()


def _close(session: _hot.Session) -> None:
    """Closes the session, whatever comes out of the code of actors that end here."""
    try:
        if session.engine is not None:
            session.engine.close()
    finally:
        session.close()
        _hot.drop_pinned()
        _hot.forget_repeated()


def trace_events() -> list[tuple[int, int, int, int, bytes]]:
    """(task, began, ended, pid, name) of tasks that were recorded; see `bolide._node_state`."""
    if _node is None:
        need_session()
        raise RuntimeError("timeline() was called in a task; only the driver can ask for it")
    return _node.trace_events()


def is_initialized() -> bool:
    """Whether the runtime runs in this process. Follows Ray's page "ray.is_initialized"."""
    session = _hot.current_session()
    return session is not None and session.alive


def ensure_started() -> None:
    """Starts the runtime if it does not run, or says why it cannot."""
    session = _hot.current_session()
    if session is None or not session.alive:
        _auto_init(session)


def refresh_settings() -> None:
    """Tells the node what workers from now on begin with, if that has changed since."""
    node, environments = _node, _environments
    if node is not None and environments is not None:
        environments.refresh(node)


def need_session() -> _hot.Session:
    """The session of this process, driver or worker.

    Raises:
        RuntimeError: there is none; this function starts none.
    """
    session = _hot.current_session()
    if session is None or not session.alive:
        if session is not None and session.forked:
            _auto_init(session)  # raises
        raise RuntimeError("bolide is not running in this process; call bolide.init() first")
    return session


def _auto_init(session: Any) -> None:
    """The hot path found no live session: start one, or say why not."""
    if session is not None and session.forked:
        raise RuntimeError(
            "bolide cannot be used in this process after fork: it belongs to the parent "
            f"(pid {_pid}); start processes with the spawn method, or call bolide.init() here"
        )
    if session is not None and session.is_worker:
        raise RuntimeError("the node of this worker is gone")
    if _exiting:
        _hot.park_unless_main()  # a daemon thread that goes on while the process ends
        raise RuntimeError("bolide was shut down because the interpreter is exiting")
    with _lock:
        if not is_initialized():
            init()


def _spilling_directory(argument: str | None) -> str:
    """Where to spill. One that was asked for is looked at now, not when memory is short."""
    directory = _config.get("object_spilling_directory", argument)
    if directory is None:
        return os.environ.get("TMPDIR") or "/var/tmp"
    if not os.path.isdir(directory):
        what = "is no directory; make it first"
    elif not os.access(directory, os.W_OK | os.X_OK):
        what = "this user may not write; choose another"
    else:
        return os.path.abspath(directory)
    raise ValueError(
        f"object_spilling_directory is {directory!r}, which {what}, or leave it out for /var/tmp"
    )


def _check_keywords(
    address: str | None,
    namespace: Any,
    others: dict[str, Any],
) -> None:
    if address not in (None, "local"):
        raise ConnectionError(
            f"bolide.init(address={address!r}) names a cluster, but this version runs on one "
            "machine only; leave address out"
        )
    if namespace is not None and not isinstance(namespace, str):
        raise TypeError(f"namespace must be None or a string, not {namespace!r}")
    if namespace == "":
        raise ValueError('namespace is "", which is not valid; leave it out to specify none')
    unknown = [name for name in others if name not in _IGNORED + _IGNORED_WITH_WARNING]
    if unknown:
        raise RuntimeError(f"Unknown keyword argument(s): {', '.join(unknown)}")
    private = [name for name in others if name in _IGNORED_WITH_WARNING]
    if private:
        import warnings

        warnings.warn(
            f"bolide.init() takes no notice of Ray's {', '.join(private)}",
            RuntimeWarning,
            stacklevel=3,
        )


def _context() -> RayContext:
    return RayContext(_hot.current_session().id, _job.current.namespace)


def _at_exit() -> None:
    global _exiting
    _exiting = True
    session = _hot.current_session()
    if session is None or session.forked or session.is_worker:
        return
    _hot.park_waiting_threads()
    shutdown()


def _after_fork_in_child() -> None:
    global _node, _service, _environments, _lock
    _lock = RLock()
    session = _hot.current_session()
    if session is not None and not session.forked:
        session.mark_forked()
        if _node is not None:
            _node.after_fork()
    _node = _service = _environments = None


def _flush_output() -> None:
    service = _service
    if service is not None:
        service.print_output()


def _wake_service() -> None:
    node = _node
    if node is not None:
        node.wake_service()


def _from_core(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls the core; its error becomes an exception with Ray's name."""
    try:
        return function(*args, **kwargs)
    except _core.CoreError as error:
        code, sentence = error.args
        raise _make_system_error(code, sentence.encode()) from None


def _make_system_error(code: int, text: bytes) -> Exception:
    from ._system_errors import make

    return make(code, text)


_hot.set_hooks(_auto_init, _make_system_error, _flush_output, _wake_service)
atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork_in_child)
