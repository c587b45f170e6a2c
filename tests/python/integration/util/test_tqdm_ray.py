"""experimental.tqdm_ray: bars of workers are drawn by the driver, and are no output of theirs."""

from __future__ import annotations

import pytest

tqdm = pytest.importorskip("tqdm")

import bolide  # noqa: E402
from bolide import _service  # noqa: E402
from bolide.experimental import tqdm_ray  # noqa: E402

pytestmark = pytest.mark.dev


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """What is drawn: (description, n, total) of each bar when it is closed."""
    closed = []

    class Bar(tqdm.tqdm):
        monitor_interval = 0  # or tqdm starts a thread that stays

        def close(self):
            if not self.disable:
                closed.append((self.desc.removesuffix(": "), self.n, self.total))
            super().close()

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    return closed


def test_the_service_knows_the_lines_of_bars():
    assert _service._BAR == tqdm_ray.MARK
    assert not tqdm_ray.take_line("no bar")
    assert not tqdm_ray.take_line(f"{{ {tqdm_ray.MARK}")
    assert not tqdm_ray.take_line(f'{{"{tqdm_ray.MARK}": 5}}')


def test_bars_of_tasks_are_drawn_here(ray, drawn, capfd):
    @ray.remote
    def work(n):
        for _ in tqdm_ray.tqdm(range(n), desc=f"work {n}"):
            pass
        print("a line")
        return n

    assert ray.get([work.remote(3), work.remote(5)]) == [3, 5]
    assert sorted(drawn) == [("work 3", 3, 3), ("work 5", 5, 5)]
    out = capfd.readouterr().out
    assert out.count("a line") == 2 and tqdm_ray.MARK not in out


def test_a_bar_by_hand(drawn, capsys):
    with tqdm_ray.tqdm(total=10, unit="step") as bar:
        bar.update(3)
        bar.set_description("half")
        bar.total = 6
        assert (bar.n, bar.total) == (3, 6)
        bar.refresh()
        tqdm_ray.safe_print("said")
    bar.close()
    assert drawn == [("half", 3, 6)]
    assert capsys.readouterr().out == "said\n"
    with pytest.raises(ValueError, match="No iterable provided"):
        list(tqdm_ray.tqdm(total=3))


def test_it_is_a_submodule():
    assert bolide.experimental.tqdm_ray is tqdm_ray
