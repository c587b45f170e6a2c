"""Ray's page "Actors".

Tasks and other actors call the methods of an actor whose handle they are given.
"""

import ray


@ray.remote
class Log:
    def __init__(self):
        self.lines = []

    def write(self, line):
        self.lines.append(line)

    def read(self):
        return sorted(self.lines)


@ray.remote
def worker(log, number):
    for step in range(3):
        ray.get(log.write.remote((number, step)))


@ray.remote
class Reporter:
    def __init__(self, logs):
        self.log = logs["main"]

    def report(self):
        return len(ray.get(self.log.read.remote()))


ray.init(num_cpus=2)
log = Log.remote()
ray.get([worker.remote(log, number) for number in range(4)])
assert ray.get(log.read.remote()) == [(number, step) for number in range(4) for step in range(3)]
assert ray.get(Reporter.remote({"main": log}).report.remote()) == 12

print("done")
