"""What workers write reaches the driver's streams: by line, in time, whatever happens to them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

import bolide


@pytest.fixture
def shown(capsys):
    """`shown()` is what stdout and stderr have got so far, without the prefixes of workers."""
    seen = ["", ""]

    def read():
        captured = capsys.readouterr()
        seen[0] += captured.out
        seen[1] += captured.err
        return [re.sub(r"(?m)^\(.* pid=\d+\) ", "", text) for text in seen]

    return read


def test_prints_come_before_get_returns(ray, shown):
    @ray.remote
    def speak(i):
        print("out", i)
        print("err", i, file=sys.stderr)

    for i in range(20):
        ray.get(speak.remote(i))
        out, err = shown()
        assert out.splitlines()[-1] == f"out {i}"
        assert err.splitlines()[-1] == f"err {i}"


def test_lines_name_the_task_and_the_process(ray, capsys):
    @ray.remote
    def speak():
        print("hello")
        return os.getpid()

    pid = ray.get(speak.remote())
    assert re.fullmatch(rf"\(.*speak pid={pid}\) hello\n", capsys.readouterr().out)


def test_lines_keep_their_order(ray, shown):
    @ray.remote
    def speak():
        for i in range(1000):
            print(i)

    ray.get(speak.remote())
    assert shown()[0].split() == [str(i) for i in range(1000)]


def test_a_line_without_an_end(ray, shown):
    @ray.remote
    def speak():
        print("part", end="")
        sys.stdout.write("ial")

    ray.get(speak.remote())
    assert shown()[0] == "partial\n"


def test_a_very_long_line(ray, shown):
    @ray.remote
    def speak():
        print("x" * 200_000)

    ray.get(speak.remote())
    assert shown()[0] == "x" * 200_000 + "\n"


def test_what_is_no_text(ray, shown):
    @ray.remote
    def speak():
        print("ä€😀 \x1b[1m")
        print("\ud800")
        sys.stdout.buffer.write(b"\xff raw\n")

    ray.get(speak.remote())
    out = shown()[0]
    assert "ä€😀 \x1b[1m" in out
    assert "raw" in out


def test_writes_past_python(ray, shown, eventually):
    @ray.remote
    def speak():
        os.write(1, b"raw out\n")
        os.write(2, b"raw err\n")

    ray.get(speak.remote())
    eventually(lambda: ["raw out" in shown()[0], "raw err" in shown()[1]], [True, True])


def test_output_of_a_subprocess(ray, shown, eventually):
    @ray.remote
    def speak():
        subprocess.run([sys.executable, "-c", "print('from below')"], check=True)

    ray.get(speak.remote())
    eventually(lambda: "from below" in shown()[0], True)


def test_prints_of_a_worker_that_is_killed(ray, shown):
    @ray.remote(max_retries=0)
    def speak():
        print("last words")
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(bolide.exceptions.WorkerCrashedError):
        ray.get(speak.remote())
    assert shown()[0] == "last words\n"


def test_prints_of_a_task_that_fails(ray, shown):
    @ray.remote
    def speak():
        print("before")
        raise KeyError

    with pytest.raises(KeyError):
        ray.get(speak.remote())
    assert shown()[0] == "before\n"


def test_prints_of_a_task_that_nobody_gets(ray, shown, eventually):
    @ray.remote
    def speak():
        print("unasked")

    ref = speak.remote()
    eventually(lambda: shown()[0], "unasked\n")
    del ref


def test_prints_before_shutdown_are_not_lost(ray, shown, channel, latch):
    @ray.remote
    def speak():
        print("early")
        channel.say("printed")
        latch.wait()

    ref = speak.remote()
    channel.hear()
    ray.shutdown()
    assert shown()[0] == "early\n"
    del ref


def test_prints_of_nested_tasks(ray, shown):
    @ray.remote
    def inner():
        print("inner")

    @ray.remote
    def outer():
        bolide.get(inner.remote())
        print("outer")

    ray.get(outer.remote())
    assert sorted(shown()[0].split()) == ["inner", "outer"]


def test_no_output_when_it_is_not_wanted(shown):
    bolide.init(num_cpus=1, log_to_driver=False)

    @bolide.remote
    def speak():
        print("silent")
        os.write(1, b"silent\n")

    bolide.get([speak.remote() for _ in range(5)])
    bolide.shutdown()
    assert shown() == ["", ""]


def test_no_prefix_when_it_is_not_wanted(monkeypatch, capsys):
    monkeypatch.setenv("BOLIDE_LOG_PREFIX", "never")
    bolide.init(num_cpus=1)

    @bolide.remote
    def speak():
        print("plain")

    bolide.get(speak.remote())
    assert capsys.readouterr().out == "plain\n"


def test_the_stream_of_the_moment_is_used(ray, monkeypatch):
    import io

    @ray.remote
    def speak():
        print("caught")

    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    ray.get(speak.remote())
    assert mine.getvalue().endswith("caught\n")


def test_a_stream_that_is_closed_does_no_harm(ray, monkeypatch):
    import io

    @ray.remote
    def speak():
        print("lost")
        return 1

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    assert ray.get(speak.remote()) == 1
    monkeypatch.setattr(sys, "stdout", None)
    assert ray.get(speak.remote()) == 1
