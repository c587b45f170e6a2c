"""PyTorch: CPU tensors over the store's memory; models and what else has a history, by torch."""

from __future__ import annotations

import pytest

import bolide

from .store_memory import in_store, peak_of

torch = pytest.importorskip("torch")
N = 1_000_000

torch.ones(N).sum()  # PyTorch starts its threads, which are no leak of ours

pytestmark = pytest.mark.timeout(120)  # each worker imports torch


def tensors():
    """Tensors that hold data and nothing else."""
    numbers = torch.arange(N)
    return {
        "int": numbers,
        "float": numbers.float(),
        "double": numbers.double().reshape(400, -1),
        "half": numbers.half(),
        "bfloat16": numbers.bfloat16(),
        "complex": numbers * 1j,
        "bool": numbers % 2 == 0,
        "uint8": numbers.to(torch.uint8),
        "transposed": numbers.reshape(400, -1).T,
        "strided": numbers.reshape(400, -1)[::2, ::3],
        "slice": numbers[1000:],
        "permuted": numbers.reshape(20, 100, -1).permute(2, 0, 1),
        "expanded": torch.arange(N // 8).expand(8, -1),
        "detached": torch.ones(N, requires_grad=True).detach(),
    }


def test_a_tensor_is_a_view(ray):
    for name, value in tensors().items():
        for whole in (value, {"k": [value]}):
            ref, peak = peak_of(lambda whole=whole: ray.put(whole))
            assert peak < value.nbytes / 4, name
            back = ray.get(ref)
            back = back["k"][0] if isinstance(back, dict) else back
            assert type(back) is torch.Tensor
            assert (back.dtype, back.shape) == (value.dtype, value.shape)
            assert torch.equal(back, value), name
            assert in_store(back.data_ptr()), name


def test_torch_does_not_warn_that_it_cannot_be_written(ray, recwarn):
    ray.get(ray.put(torch.ones(N)))
    assert [str(w.message) for w in recwarn if "writable" in str(w.message)] == []


def test_a_tensor_through_a_task(ray):
    @ray.remote
    def double(x):
        return x * 2

    back = ray.get(double.remote(torch.arange(N)))
    assert torch.equal(back, torch.arange(N) * 2)
    assert in_store(back.data_ptr())


def test_a_clone_can_be_written(ray):
    ref = ray.put(torch.zeros(N))
    own = ray.get(ref).clone()
    own += 1
    assert ray.get(ref).sum() == 0


def test_writing_into_a_tensor_of_the_store_ends_the_worker_and_changes_nothing(ray):
    @ray.remote(max_retries=0)
    def write(x):
        x += 1

    ref = ray.put(torch.zeros(N))
    with pytest.raises(bolide.exceptions.WorkerCrashedError, match="SIGSEGV"):
        ray.get(write.remote(ref))
    assert ray.get(ref).sum() == 0


def test_small_tensors_are_copies_that_can_be_written(ray):
    for value in (
        torch.arange(5),
        torch.tensor(3.5),
        torch.ones(2, 3).bfloat16(),
        torch.ones(3).bool(),
        torch.zeros(0),
        torch.arange(6).reshape(2, 3).T,
    ):
        back = ray.get(ray.put(value))
        assert torch.equal(back, value) and back.dtype == value.dtype
        if back.numel():
            back.fill_(1)
    ref = ray.put(torch.zeros(100))
    ray.get(ref).fill_(1)
    assert ray.get(ref).sum() == 0


def test_what_is_left_to_torch(ray):
    grown = torch.ones(N, requires_grad=True)
    sparse = torch.eye(1000).to_sparse()
    conjugated = torch.ones(N, dtype=torch.complex64).conj()
    tagged = torch.ones(N)
    tagged.tag = "text"
    back = ray.get(ray.put([grown, sparse, conjugated, tagged]))
    assert back[0].requires_grad and torch.equal(back[0], grown)
    assert back[1].is_sparse and torch.equal(back[1].to_dense(), torch.eye(1000))
    assert torch.equal(back[2].resolve_conj(), conjugated.resolve_conj())
    assert back[3].tag == "text"


def test_a_model_and_its_optimizer_can_be_trained_where_they_arrive(ray):
    # In one value, so that the optimizer's parameters stay the model's.
    model = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.BatchNorm1d(300))
    model.register_buffer("table", torch.zeros(300, 300))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

    @ray.remote
    def train(pair, batch):
        model, optimizer = pair
        model(batch).square().mean().backward()
        optimizer.step()
        model.table += 1
        return pair

    batch = torch.rand(400, 300)
    once = ray.get(train.remote((model, optimizer), batch))
    assert once[0].table.sum() == 90_000
    assert not torch.equal(once[0][0].weight, model[0].weight)
    twice = ray.get(train.remote(once, batch))
    assert twice[0].table.sum() == 180_000
    twice[1].step()  # and here


def test_a_state_dict(ray):
    model = torch.nn.Linear(500, 500)
    state = ray.get(ray.put(model.state_dict()))
    assert in_store(state["weight"].data_ptr())
    other = torch.nn.Linear(500, 500)
    other.load_state_dict(state)
    assert torch.equal(other.weight, model.weight)


def test_a_tensor_over_an_array_of_the_store(ray):
    array = ray.zeros(N)
    tensor = torch.from_numpy(array)
    tensor += 2
    ref, peak = peak_of(lambda: ray.put({"t": tensor}))
    assert peak < array.nbytes / 4
    back = ray.get(ref)["t"]
    assert back.sum() == 2 * N and in_store(back.data_ptr())
