"""The table of options, the sentences for bad values, and merging of .options() over @remote()."""

import pickle

import numpy as np
import pytest

from bolide import _options
from bolide._options import OPTIONS, check_options, normalize_task_options

RAY_OPTIONS = """
accelerator_type memory name num_cpus num_gpus object_store_memory placement_group
placement_group_bundle_index placement_group_capture_child_tasks resources runtime_env
scheduling_strategy label_selector fallback_strategy enable_task_events _labels max_calls
max_retries retry_exceptions num_returns _generator_backpressure_num_objects concurrency_groups
max_concurrency max_restarts max_task_retries max_pending_calls lifetime namespace get_if_exists
allow_out_of_order_execution enable_tensor_transport _actor_generator_backpressure_num_objects
""".split()


def test_every_option_of_ray_is_in_the_table():
    assert set(RAY_OPTIONS) <= set(OPTIONS)
    for name, option in OPTIONS.items():
        assert option.name == name and option.meaning
        assert option.scope in ("task", "actor", "both")
        assert option.status in ("works", "ignored", "later")


def test_the_default_is_one_cpu_and_three_retries():
    options = normalize_task_options({})
    assert options.resources == (("CPU", 10_000),)
    assert (options.num_returns, options.max_retries, options.retry_exceptions) == (None, 3, False)
    assert (options.stream_limit, options.max_calls) == (0, 0)
    assert (options.name, options.runtime_env, options.place) == (None, None, None)
    assert options.plain
    assert normalize_task_options({}) is options


@pytest.mark.parametrize(
    ("given", "resources"),
    [
        ({"num_cpus": 0}, ()),
        ({"num_cpus": 0.5}, (("CPU", 5_000),)),
        ({"num_cpus": 0.57}, (("CPU", 5_700),)),
        ({"num_cpus": np.int64(2)}, (("CPU", 20_000),)),
        ({"num_cpus": np.float32(0.5)}, (("CPU", 5_000),)),
        ({"num_gpus": 0.25}, (("CPU", 10_000), ("GPU", 2_500))),
        ({"num_gpus": 2.0}, (("CPU", 10_000), ("GPU", 20_000))),
        ({"memory": 1000.9}, (("CPU", 10_000), ("memory", 10_000_000))),
        (
            {"num_cpus": 1, "resources": {"z": 1, "a": 0.0001, "none": 0}},
            (("CPU", 10_000), ("a", 1), ("z", 10_000)),
        ),
        ({"num_cpus": None, "resources": None}, (("CPU", 10_000),)),
    ],
)
def test_resources_in_units(given, resources):
    assert normalize_task_options(given).resources == resources


CPUS = "give the quantity that it needs, such as num_cpus=0.5."
BAD = [
    ({"num_cpus": -1}, f"num_cpus is -1, but it must be 0 or more; {CPUS}"),
    ({"num_cpus": float("nan")}, f"num_cpus is nan, but it must be a number; {CPUS}"),
    ({"num_cpus": float("inf")}, f"num_cpus is inf, but it must be at most 1000000; {CPUS}"),
    ({"num_cpus": 1e9}, f"num_cpus is 1000000000.0, but it must be at most 1000000; {CPUS}"),
    ({"num_cpus": "2"}, f"num_cpus is '2' (str), but it must be an int or a float; {CPUS}"),
    ({"num_cpus": True}, f"num_cpus is True (bool), but it must be an int or a float; {CPUS}"),
    ({"num_cpus": [1]}, f"num_cpus is [1] (list), but it must be an int or a float; {CPUS}"),
    ({"num_cpus": 1e-5}, "num_cpus is 1e-05, but it must be 0 or at least 0.0001; round it up."),
    (
        {"num_gpus": 1.5},
        "num_gpus is 1.5, but it must be a whole number if it is above 1; use num_gpus=2.",
    ),
    (
        {"resources": {"CPU": 1}},
        "resources has the key 'CPU', which has an option of its own; use num_cpus=...",
    ),
    (
        {"resources": {"disk": -1}},
        "resources['disk'] is -1, but it must be 0 or more; "
        "give the quantity that it needs, such as resources['disk']=0.5.",
    ),
    (
        {"resources": ["disk"]},
        "resources is ['disk'] (list), but it must be a dict of names and quantities; "
        'write it as resources={"name": quantity}.',
    ),
    (
        {"resources": {1: 1}},
        "a key of resources is 1 (int), but it must be a str; "
        'write it as resources={"name": quantity}.',
    ),
    (
        {"num_returns": -1},
        "num_returns is -1, but it must be 0 or more; give the number of values that the function "
        'returns, or "streaming" for a generator.',
    ),
    (
        {"num_returns": 1.5},
        "num_returns is 1.5 (float), but it must be an int; give the number of values that the "
        'function returns, or "streaming" for a generator.',
    ),
    (
        {"max_retries": -2},
        "max_retries is -2, but it must be -1 or more; -1 means without limit.",
    ),
    (
        {"max_retries": "3"},
        "max_retries is '3' (str), but it must be an int; -1 means without limit.",
    ),
    (
        {"name": "n" * 5000},
        "name is 'nnnnnnnnnnnnnnnnnnnn...', 5000 characters long, but at most 1024 are allowed; "
        "give a short text.",
    ),
    (
        {"name": "a\0b"},
        r"name is 'a\x00b', but it must not hold NUL or surrogates; give a short text.",
    ),
    (
        {"retry_exceptions": [1]},
        "an item of retry_exceptions is 1 (int), but it must be an exception class; "
        "give True, False or a list of exception classes.",
    ),
    (
        {"scheduling_strategy": "RANDOM"},
        "scheduling_strategy is 'RANDOM', but it must be 'DEFAULT' or 'SPREAD'; "
        "other strategies are objects of ray.util.scheduling_strategies.",
    ),
    ({"max_restarts": 1}, "max_restarts is an option of actors and not of a task; leave it out."),
]


@pytest.mark.parametrize(
    ("given", "sentence"), BAD, ids=[str(list(b[0].items()))[:50] for b in BAD]
)
def test_a_bad_value_gets_a_sentence(given, sentence):
    with pytest.raises(ValueError) as caught:
        normalize_task_options(given)
    assert str(caught.value) == sentence


def test_a_wrong_type_is_a_type_error_as_in_ray():
    with pytest.raises(TypeError):
        normalize_task_options({"num_cpus": "2"})


def test_an_unknown_option_lists_the_nearest():
    with pytest.raises(ValueError) as caught:
        normalize_task_options({"num_cpu": 1})
    assert str(caught.value).startswith(
        "'num_cpu' is not an option of a task; did you mean 'num_cpus' or 'num_gpus'? "
        "The options of a task are accelerator_type, "
    )
    with pytest.raises(ValueError, match="^'zzz' is not an option of an actor; leave it out. The"):
        check_options({"zzz": 1}, "actor")


@pytest.mark.parametrize(
    ("given", "usual"),
    [
        ({"object_store_memory": 5}, ""),
        ({"fallback_strategy": [{"num_cpus": 1}]}, ""),
    ],
)
def test_what_is_not_carried_out_yet_is_refused(given, usual):
    ((name, value),) = given.items()
    with pytest.raises(NotImplementedError) as caught:
        normalize_task_options(given)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == (
        f"{name}={value!r} is an option of Ray that this version of bolide does not carry out yet; "
        f"leave it out{usual}."
    )


@pytest.mark.parametrize(
    "given",
    [{name: None} for name, option in OPTIONS.items() if option.scope != "actor"]
    + [
        {"retry_exceptions": False},
        {"retry_exceptions": []},
        {"max_calls": 0},
        {"runtime_env": {}},
        {"placement_group": "default"},
        {"placement_group_bundle_index": -1},
        {"enable_task_events": False},
        {"scheduling_strategy": "DEFAULT"},
        {"_metadata": {"a": 1}},
        {"num_returns": 1, "max_retries": 3, "num_cpus": 1},
    ],
    ids=str,
)
def test_neutral_values_leave_a_task_plain(given):
    assert normalize_task_options(given).plain


def test_options_override_the_decorators_one_by_one():
    base = normalize_task_options(
        {"num_cpus": 2, "resources": {"a": 1}, "name": "n", "max_retries": 0}
    )
    assert not base.plain
    changed = normalize_task_options({"num_cpus": 0.5, "resources": {"b": 1}}, base)
    assert changed.resources == (("CPU", 5_000), ("b", 10_000))
    assert (changed.name, changed.max_retries) == ("n", 0)
    assert base.resources == (("CPU", 20_000), ("a", 10_000))
    assert normalize_task_options({"name": None, "num_cpus": None}, base).name is None
    assert normalize_task_options({}, base) is base


def test_a_task_with_a_gpu_gets_a_fresh_worker_by_default():
    assert normalize_task_options({}).max_calls == 0
    assert normalize_task_options({"num_gpus": 0.5}).max_calls == 1
    assert normalize_task_options({"num_gpus": 1, "max_calls": 0}).max_calls == 0


def test_max_calls_belongs_to_the_decorator():
    base = normalize_task_options({})
    with pytest.raises(
        ValueError, match=r"max_calls cannot be changed by .options\(\); give it to"
    ):
        normalize_task_options({"max_calls": 0}, base)


def test_actor_options_are_checked_by_the_same_table():
    assert check_options({"num_cpus": 2, "max_restarts": 0}, "actor")["num_cpus"] == 20_000
    with pytest.raises(ValueError, match="max_calls is an option of tasks and not of an actor"):
        check_options({"max_calls": 1}, "actor")
    assert check_options({"max_restarts": 1}, "actor") == {"max_restarts": 1}
    with pytest.raises(NotImplementedError, match="^_labels={'a': 'b'} is an option of Ray that"):
        check_options({"_labels": {"a": "b"}}, "actor")


def test_resources_can_be_a_dict_key_and_the_options_are_small():
    options = normalize_task_options({"resources": {"a": 1}})
    assert hash(options.resources) == hash(pickle.loads(pickle.dumps(options.resources)))
    assert not hasattr(options, "__dict__")
    assert _options.DEFAULT_MAX_RETRIES == 3
