"""The benchmarks: `pytest benchmarks` measures, `pytest benchmarks --gate` also asserts the
budgets."""
