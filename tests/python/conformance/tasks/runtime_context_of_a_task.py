"""Ray's page "Runtime Context": ids, names and resources of the code that asks."""

import ray

ray.init(num_cpus=2, namespace="here")


@ray.remote(num_cpus=0.5)
def ask():
    context = ray.get_runtime_context()
    return (
        context.get_job_id(), context.get_node_id(), context.get_task_id(), context.get_worker_id(),
        context.get_task_name(), context.get_assigned_resources(), context.namespace,
    )  # fmt: skip


here = ray.get_runtime_context()
job, node, task, worker, name, resources, namespace = ray.get(ask.options(name="asks").remote())
assert (job, node, namespace) == (here.get_job_id(), here.get_node_id(), "here")
assert node == ray.nodes()[0]["NodeID"]
assert task != ray.get(ask.remote())[2] and len(task) == 48
assert worker != here.get_worker_id()
assert (name, resources) == ("asks", {"CPU": 0.5})
assert ray.get_gpu_ids() == []

print("done")
