"""Ray's page "Actors".

Methods run in the process of the actor and see what earlier ones did.
"""

import os

import ray


@ray.remote
class Account:
    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount):
        self.balance += amount
        return self.balance

    def describe(self):
        return f"{self.owner}: {self.balance}"

    def pid(self):
        return os.getpid()


ray.init(num_cpus=2)
ann, bob = Account.remote("Ann"), Account.remote("Bob", balance=100)
assert ray.get([ann.deposit.remote(5) for _ in range(3)]) == [5, 10, 15]
assert ray.get(bob.deposit.remote(amount=1)) == 101
assert ray.get([ann.describe.remote(), bob.describe.remote()]) == ["Ann: 15", "Bob: 101"]
pids = ray.get([ann.pid.remote(), bob.pid.remote(), ann.pid.remote()])
assert pids[0] == pids[2] != pids[1] and os.getpid() not in pids

print("done")
