"""Ray's page "Anti-pattern: Forking new processes in application code".

Started with the method "spawn", or as a program of its own, a process has nothing of the runtime.
"""

import subprocess
import sys

import ray

ray.init(num_cpus=2)


@ray.remote
def ask_a_program():
    code = "print(6 * 7)"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True).stdout)


assert ray.get([ask_a_program.remote() for _ in range(2)]) == [42, 42]

print("done")
