"""Ray's page "Use labels to control scheduling": a selector that fits lets a task run."""

import ray

ray.init(num_cpus=1, labels={"region": "north", "market": "spot"})


@ray.remote
def labels():
    return ray.get_runtime_context().get_node_labels()


for selector in (
    {"region": "north"},
    {"region": "in(north, south)", "market": "!on-demand"},
    {"region": "!in(east, west)"},
):
    found = ray.get(labels.options(label_selector=selector).remote())
    assert (found["region"], found["market"]) == ("north", "spot")
assert ray.nodes()[0]["Labels"]["region"] == "north"

print("done")
