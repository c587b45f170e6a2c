"""The table of settings: where a value comes from, its checks, and the text of `bolide env`."""

import os

import pytest

from bolide import _config, _node_state


def test_defaults():
    expected = {
        "num_cpus": None,
        "object_store_memory": None,
        "object_spilling_directory": None,
        "memory_monitor_refresh_ms": 250,
        "memory_usage_threshold": 0.95,
        "meminfo": "",
        "spin_us": 50,
        "inline_limit_bytes": 8192,
        "start_timeout_s": 60.0,
        "log_prefix": "auto",
        "max_blocked_per_core": 4,
        "timeline": "off",
        "record_ref_creation_sites": "off",
        "post_mortem": "off",
        "fault": "",
        "fault_seed": "",
    }
    assert {name: _config.get(name, environ={}) for name in _config.SETTINGS} == expected


def test_an_argument_wins_over_the_variable_and_that_over_the_default():
    environ = {"BOLIDE_SPIN_US": "20"}
    assert _config.get("spin_us", 5, environ) == 5
    assert _config.get("spin_us", None, environ) == 20
    assert _config.get("spin_us", None, {"BOLIDE_SPIN_US": ""}) == 50


def test_rays_variable_counts_where_there_is_no_other():
    environ = {"RAY_memory_monitor_refresh_ms": "0"}
    assert _config.get("memory_monitor_refresh_ms", environ=environ) == 0
    environ["BOLIDE_MEMORY_MONITOR_REFRESH_MS"] = "20"
    assert _config.get("memory_monitor_refresh_ms", environ=environ) == 20
    with pytest.raises(ValueError, match=r"variable RAY_memory_usage_threshold is"):
        _config.get("memory_usage_threshold", environ={"RAY_memory_usage_threshold": "95"})


def test_the_environment_is_read_when_asked(monkeypatch):
    monkeypatch.setenv("BOLIDE_LOG_PREFIX", "never")
    assert _config.get("log_prefix") == "never"
    monkeypatch.delenv("BOLIDE_LOG_PREFIX")
    assert _config.get("log_prefix") == "auto"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("object_store_memory", "2GiB", 2 * 2**30),
        ("object_store_memory", "1.5 GB", 1_500_000_000),
        ("object_store_memory", "4194304", 2**22),
        ("object_store_memory", 2**22, 2**22),
        ("object_store_memory", 4e9, 4_000_000_000),
        ("num_cpus", " 3 ", 3),
        ("num_cpus", 0, 0),
        ("start_timeout_s", "0.5", 0.5),
        ("start_timeout_s", 5, 5.0),
    ],
)
def test_values_are_understood(name, text, value):
    got = _config.get(name, text)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "num_cpus", "two",
            "must be a whole number from 0 to 1000000; "
            "leave it out for a value that fits this machine.",
        ),
        ("num_cpus", True, "must be a whole number from 0 to 1000000;"),
        ("num_cpus", 1.5, "must be a whole number from 0 to 1000000;"),
        ("num_cpus", -1, "must be a whole number from 0 to 1000000;"),
        ("spin_us", "1e3", "must be a whole number from 0 to 1000000; leave it out for 50."),
        ("start_timeout_s", "nan", "must be a number from 0.1 to 86400; leave it out for 60.0."),
        ("object_store_memory", "2XB", "must be a number of bytes from 1048576 to "),
        ("object_store_memory", "GB", ", such as 2GiB; leave it out for a value that fits this"),
        ("log_prefix", "yes", "must be 'auto' or 'never'; leave it out for 'auto'."),
    ],
)  # fmt: skip
def test_a_bad_value_gets_a_sentence(name, value, sentence):
    with pytest.raises(ValueError) as caught:
        _config.get(name, value)
    assert str(caught.value).startswith(f"{name} is {value!r}, but it must be ")
    assert sentence in str(caught.value)
    if isinstance(value, str):
        variable = f"BOLIDE_{name.upper()}"
        with pytest.raises(ValueError) as caught:
            _config.get(name, environ={variable: value})
        assert str(caught.value).startswith(f"the environment variable {variable} is {value!r}, ")


def test_describe_shows_every_setting_and_where_it_comes_from():
    text = _config.describe({"BOLIDE_SPIN_US": "7", "BOLIDE_LOG_PREFIX": "x", "BOLIDE_SPINUS": "1"})
    lines = text.splitlines()
    for setting in _config.SETTINGS.values():
        assert any(
            line.split()[0] == setting.variable and setting.meaning in line for line in lines
        )
    assert next(line for line in lines if "BOLIDE_SPIN_US " in line).split()[1:3] == [
        "7",
        "environment",
    ]
    assert "the environment variable BOLIDE_LOG_PREFIX is 'x', but it must be" in text
    assert lines[-1] == (
        "BOLIDE_SPINUS is set but is no setting of bolide; did you mean BOLIDE_SPIN_US?"
    )


def test_describe_of_the_real_environment_never_raises():
    assert "BOLIDE_NUM_CPUS" in _config.describe(os.environ)


def test_no_cpus_is_a_number_of_cpus(monkeypatch):
    monkeypatch.setenv("BOLIDE_NUM_CPUS", "0")
    assert _node_state.totals(None, 0.0, None, 1)[0] == 0.0
    monkeypatch.setenv("BOLIDE_NUM_CPUS", "")
    assert _node_state.totals(None, 0.0, None, 1)[0] > 0.0
