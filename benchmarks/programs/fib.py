"""`fib.py N`: the N-th Fibonacci number by nested tasks on two CPUs, without a cut-off. Prints the
number.

It does not count processes, test_nested.py does, from outside.
"""

import sys

import bolide as ray


@ray.remote
def fib(n):
    if n < 2:
        return n
    return sum(ray.get([fib.remote(n - 1), fib.remote(n - 2)]))


if __name__ == "__main__":
    ray.init(num_cpus=2)
    print(ray.get(fib.remote(int(sys.argv[1]))))
    ray.shutdown()
