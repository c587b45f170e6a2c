"""Every public name of Ray's core is there, or docs/compatibility.md says why not.

The names are data here; they are those of Ray 2.60. Options and keywords of init are held to the
tables that accept them.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import bolide
from bolide import _options, _runtime

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the source tree is not here")

CORE = """
    init shutdown is_initialized remote get put wait cancel kill get_actor method nodes
    cluster_resources available_resources get_gpu_ids get_runtime_context timeline ObjectRef
    ObjectRefGenerator DynamicObjectRefGenerator LoggingConfig Language ClientBuilder client
    cpp_function java_function java_actor_class SCRIPT_MODE WORKER_MODE ActorID ActorClassID
    FunctionID JobID NodeID ObjectID PlacementGroupID TaskID UniqueID WorkerID
    actor exceptions util runtime_env runtime_context dag
    actor.ActorClass actor.ActorHandle actor.ActorMethod actor.ActorProxy actor.exit_actor
    ObjectRef.hex ObjectRef.binary ObjectRef.task_id ObjectRef.job_id ObjectRef.owner_address
    ObjectRef.call_site ObjectRef.future ObjectRef.as_future ObjectRef.__await__
    ObjectRef._on_completed ObjectRef.tensor_transport
"""
CONTEXT = """
    get_job_id get_node_id get_worker_id get_task_id get_task_name get_task_function_name
    get_actor_id get_actor_name namespace was_current_actor_reconstructed get_placement_group_id
    get_assigned_resources get_accelerator_ids get_resource_ids get_node_labels
    get_runtime_env_string runtime_env current_actor gcs_address get_temp_dir get_session_name
    is_canceled
"""
EXCEPTIONS = """
    RayError RayTaskError TaskCancelledError WorkerCrashedError RayActorError ActorDiedError
    ActorUnavailableError ActorUnschedulableError ActorPlacementGroupRemoved
    ActorAlreadyExistsError ActorHandleNotFoundError TaskUnschedulableError
    TaskPlacementGroupRemoved GetTimeoutError ObjectLostError ObjectFreedError
    ObjectFetchTimedOutError ObjectReconstructionFailedError OwnerDiedError
    ReferenceCountingAssertionError PlasmaObjectNotAvailable ObjectStoreFullError OutOfDiskError
    OutOfMemoryError NodeDiedError LocalRayletDiedError RaySystemError RpcError
    RuntimeEnvSetupError PendingCallsLimitExceeded ObjectRefStreamEndOfStreamError
    StreamingGeneratorReplayInconsistentError OufOfBandObjectRefSerializationException
    RayChannelError RayChannelTimeoutError RayCgraphCapacityExceeded RayDirectTransportError
    CrossLanguageError UserCodeException UnserializableException AsyncioActorExit
    AuthenticationError
"""
UTIL = """
    ActorPool as_completed map_unordered inspect_serializability register_serializer
    deregister_serializer placement_group placement_group_table remove_placement_group
    get_placement_group get_current_placement_group list_named_actors get_node_ip_address
    get_node_instance_id log_once disable_log_once_globally enable_periodic_logging pdb ray_debugpy
    iter collective accelerators connect disconnect
    queue.Queue queue.Empty queue.Full
    scheduling_strategies.PlacementGroupSchedulingStrategy
    scheduling_strategies.NodeAffinitySchedulingStrategy
    scheduling_strategies.NodeLabelSchedulingStrategy scheduling_strategies.In
    scheduling_strategies.NotIn scheduling_strategies.Exists scheduling_strategies.DoesNotExist
    metrics.Counter metrics.Gauge metrics.Histogram
    multiprocessing.Pool multiprocessing.JoinableQueue multiprocessing.TimeoutError
    joblib.register_ray
    dask.enable_dask_on_ray dask.disable_dask_on_ray dask.ray_dask_get dask.ray_dask_get_sync
    dask.ray_dask_persist dask.RayDaskCallback dask.ProgressBarCallback dask.dataframe_optimize
    state.list_actors state.list_jobs state.list_nodes state.list_objects
    state.list_placement_groups state.list_runtime_envs state.list_tasks state.list_workers
    state.list_cluster_events state.get_actor state.get_task state.get_node state.get_worker
    state.get_placement_group state.get_objects state.get_job state.get_log state.list_logs
    state.summarize_tasks state.summarize_actors state.summarize_objects
    actor_group.ActorGroup tracing spark tpu debug
"""
OTHER = """
    runtime_env.RuntimeEnv runtime_env.RuntimeEnvConfig
    dag.InputNode dag.MultiOutputNode dag.FunctionNode dag.ClassNode dag.ClassMethodNode dag.plot
    experimental.tqdm_ray
"""
INIT = """
    address num_cpus num_gpus resources labels object_store_memory local_mode ignore_reinit_error
    include_dashboard dashboard_host dashboard_port job_config configure_logging logging_level
    logging_format logging_config log_to_driver namespace runtime_env enable_resource_isolation
    cgroup_path system_reserved_cpu system_reserved_memory proxy_server_url
"""
OPTIONS = """
    accelerator_type memory name num_cpus num_gpus object_store_memory placement_group
    placement_group_bundle_index placement_group_capture_child_tasks resources runtime_env
    scheduling_strategy label_selector fallback_strategy enable_task_events _labels max_calls
    max_retries retry_exceptions num_returns _generator_backpressure_num_objects
    concurrency_groups max_concurrency max_restarts max_task_retries max_pending_calls lifetime
    namespace get_if_exists allow_out_of_order_execution enable_tensor_transport
    _actor_generator_backpressure_num_objects
"""
NAMES = [
    *CORE.split(),
    *(f"runtime_context.RuntimeContext.{name}" for name in CONTEXT.split()),
    *(f"exceptions.{name}" for name in EXCEPTIONS.split()),
    *(f"util.{name}" for name in UTIL.split()),
    *OTHER.split(),
]


def is_there(name):
    """Whether ``bolide.<name>`` can be had, as a module too."""
    found = bolide
    path = "bolide"
    for part in name.split("."):
        path += f".{part}"
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(path)
            except ImportError:
                return False
    return True


def listed():
    """What the page says is not there: the names in its table's first cells, with the reasons."""
    text = PAGE.read_text(encoding="utf-8")
    missing = text.partition("## Not there")[2]
    cells = [line.split("|") for line in missing.splitlines() if line.startswith("| `")]
    return {name: cell[2].strip() for cell in cells for name in re.findall(r"`([^`]+)`", cell[1])}


def test_every_name_is_there_or_listed_with_a_reason():
    reasons = listed()
    assert all(reasons.values())
    unknown = [name for name in NAMES if not is_there(name) and name not in reasons]
    assert unknown == []


def test_what_is_listed_is_a_name_of_rays():
    assert set(listed()) <= set(NAMES) | set(OPTIONS.split())


def test_what_is_listed_is_not_there():
    has_dask = importlib.util.find_spec("dask") is not None
    for name in listed():
        expected = has_dask and name.startswith("util.dask.")  # the page says: only with Dask
        assert name in OPTIONS.split() or is_there(name) == expected, name


def test_every_keyword_of_init_is_known():
    known = {*inspect.signature(bolide.init).parameters, *_runtime._IGNORED}
    assert set(INIT.split()) <= known


def test_keywords_of_init_without_effect_are_listed():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in _runtime._IGNORED if f"`{name}`" not in text] == []


def test_every_option_is_known_and_those_that_are_refused_are_listed():
    assert set(OPTIONS.split()) <= set(_options.OPTIONS)
    later = [name for name, option in _options.OPTIONS.items() if option.status == "later"]
    assert [name for name in later if name not in listed()] == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: bolide.java_function("A", "f"),
        lambda: bolide.java_actor_class("A"),
        lambda: bolide.cpp_function("f"),
        lambda: bolide.client("ray://head:10001"),
        lambda: bolide.ClientBuilder("ray://head:10001"),
    ],
)
def test_other_languages_and_the_client_are_refused_with_a_sentence(call):
    with pytest.raises(NotImplementedError, match=r"ray\.\w+\(\) is not in bolide: .*; call|bind"):
        call()


def test_ids_are_made_as_rays_are():
    for kind in (bolide.UniqueID, bolide.FunctionID, bolide.ActorClassID, bolide.NodeID):
        made = kind.from_random()
        assert kind(made.binary()) == made != kind.from_random()
        assert len(made.hex()) == 56 and not made.is_nil() and kind.nil().is_nil()
    assert bolide.ObjectID is bolide.ObjectRef
    assert (bolide.SCRIPT_MODE, bolide.WORKER_MODE) == (0, 1)
    assert bolide.Language.PYTHON.name == "PYTHON"


def test_a_logging_config_is_checked():
    assert bolide.LoggingConfig("JSON", "DEBUG", ["thread"]).log_level == "DEBUG"
    with pytest.raises(ValueError, match="encoding must be 'TEXT' or 'JSON', not 'XML'"):
        bolide.LoggingConfig("XML")
    with pytest.raises(ValueError, match="has 'colour', but a log record has only args"):
        bolide.LoggingConfig(additional_log_standard_attrs=["colour"])


def test_types_with_parameters_can_be_evaluated():
    """In annotations of dataclasses, for example."""
    assert bolide.ObjectRef[int] is bolide.ObjectRef
    assert bolide.ObjectRefGenerator[int] is bolide.ObjectRefGenerator
    assert bolide.actor.ActorHandle[int] is bolide.actor.ActorProxy[int]
    assert bolide.actor.ActorClass[int] is bolide.actor.ActorClass
