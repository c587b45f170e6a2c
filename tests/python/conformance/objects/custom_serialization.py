"""Ray's page "Serialization", "Customized Serialization": `__reduce__` is used."""

import sqlite3

import ray

ray.init(num_cpus=2)


class Database:
    def __init__(self, path):
        self.path = path
        self.connection = sqlite3.connect(path)  # cannot be pickled

    def __reduce__(self):
        return Database, (self.path,)


class Plain:
    def __init__(self, path):
        self.connection = sqlite3.connect(path)


@ray.remote
def ask(database):
    return database.connection.execute("select 6 * 7").fetchone()[0]


assert ray.get(ask.remote(Database(":memory:"))) == 42
assert isinstance(ray.get(ray.put(Database(":memory:"))), Database)
try:
    ray.put(Plain(":memory:"))
except TypeError as error:
    assert "sqlite3.Connection" in str(error), error
else:
    raise AssertionError("a connection was pickled")

print("done")
