"""Archives of runtime environments: those that are unpacked, and RELIABILITY.md B2-16, those whose
maker wishes us ill. Nothing is written outside of their folder, and never more than 512 MiB."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import stat
import struct
import zipfile

import pytest

import bolide
from bolide import _environment_cache, _unpack
from bolide._environment_making import digest_of
from bolide.exceptions import RuntimeEnvSetupError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache directory of this test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "bolide" / "environments"


def entry(name, mode=stat.S_IFREG | 0o644):
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    made.compress_type = zipfile.ZIP_DEFLATED
    return made


def archive(path, *entries):
    """Writes a zip file of (name or ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries:
            made.writestr(name, data)
    return path


def files_below(folder):
    return sorted(
        os.path.relpath(os.path.join(at, name), folder)
        for at, _, names in os.walk(folder)
        for name in names
    )


@bolide.remote
def look(name="data.txt"):
    with open(name) as file:
        return os.getcwd(), file.read()


# ---- honest ones


def test_a_working_directory_from_an_archive(ray, tmp_path, cache):
    path = archive(
        tmp_path / "work.zip",
        ("data.txt", "seven"),
        ("folder/", ""),
        ("folder/inner.py", "VALUE = 7\n"),
        (entry("run.sh", stat.S_IFREG | 0o755), "exit 0\n"),
    )

    @ray.remote(runtime_env={"working_dir": path})
    def use():
        from folder import inner

        return look_here(), inner.VALUE, os.access("run.sh", os.X_OK)

    def look_here():
        with open("data.txt") as file:
            return os.getcwd(), file.read()

    (cwd, text), value, executable = ray.get(use.remote())
    assert (text, value, executable) == ("seven", 7, True)
    assert cwd.startswith(str(cache)) and os.getcwd() != cwd
    assert ray.get(look.options(runtime_env={"working_dir": str(path)}).remote()) == (cwd, text)
    ray.shutdown()
    assert os.listdir(cache) == []  # tasks may have written there, so nobody else may have it


def test_the_jobs_working_directory_from_an_archive(tmp_path):
    path = archive(tmp_path / "work.zip", ("data.txt", "job"))
    bolide.init(num_cpus=1, runtime_env={"working_dir": path})
    assert bolide.get(look.remote())[1] == "job"
    context = bolide.get_runtime_context()
    assert context.runtime_env == {"working_dir": str(path)}


def test_modules_from_archives_are_unpacked_once(ray, tmp_path, cache):
    zipped = archive(tmp_path / "a.zip", ("of_a_zip/__init__.py", "VALUE = 1\n"))
    wheel = archive(
        tmp_path / "of_a_wheel-1-py3-none-any.whl",
        ("of_a_wheel/__init__.py", "VALUE = 2\n"),
        ("of_a_wheel-1.data/purelib/beside_it.py", "VALUE = 3\n"),
    )

    def use():
        import beside_it
        import of_a_wheel
        import of_a_zip

        return [of_a_zip.VALUE, of_a_wheel.VALUE, beside_it.VALUE], of_a_zip.__file__

    env = {"py_modules": [zipped, str(wheel)]}
    values, first = ray.get(ray.remote(use).options(runtime_env=env).remote())
    assert values == [1, 2, 3]
    inode = os.stat(first).st_ino
    ray.shutdown()
    ray.init(num_cpus=1)
    _, second = ray.get(ray.remote(use).options(runtime_env=env).remote())
    assert second == first and os.stat(second).st_ino == inode


def test_an_archive_that_was_written_anew_is_unpacked_anew(ray, tmp_path):
    path = tmp_path / "work.zip"
    for text in ("one", "and two"):
        archive(path, ("data.txt", text))
        assert ray.get(look.options(runtime_env={"working_dir": path}).remote())[1] == text


def test_folders_that_nobody_has_used_for_long_are_removed(tmp_path, cache, monkeypatch):
    made = _environment_cache.Cache()
    old, new = (made.folder(name, lambda path: None, lambda: None) for name in ("old", "new"))
    mine = made.folder("mine", lambda path: None, lambda: None, own=True)
    os.utime(old + ".done", (0, 0))
    _environment_cache.sweep(str(cache))
    assert all(map(os.path.isdir, (old, new, mine)))  # they are in use
    made.close()
    _environment_cache.sweep(str(cache))
    assert [os.path.isdir(path) for path in (old, new, mine)] == [False, True, False]
    assert sorted(os.listdir(cache)) == ["new", "new.done", "new.lock"]


def test_a_cache_that_others_can_write_is_not_used(ray, tmp_path, cache):
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    path = archive(tmp_path / "work.zip", ("data.txt", "x"))
    with pytest.raises(RuntimeEnvSetupError, match="others can write it, or it is not yours"):
        ray.get(look.options(runtime_env={"working_dir": path}).remote())


# ---- B2-16


def refused(ray, path, sentence, cache):
    """Every task and actor with that archive gets the sentence, and nothing of it is left."""
    before = files_below(path.parent)
    env = {"working_dir": str(path)}
    with pytest.raises(RuntimeEnvSetupError, match=sentence) as caught:
        ray.get(look.options(runtime_env=env).remote())
    assert str(path) in str(caught.value) and "Nothing of it is used" in str(caught.value)

    @ray.remote
    class Actor:
        def f(self):
            pass

    with pytest.raises(RuntimeEnvSetupError, match=sentence):
        ray.get(Actor.options(runtime_env={"py_modules": [str(path)]}).remote().f.remote())
    assert files_below(path.parent) == before
    assert os.listdir(cache) == []
    assert ray.get(ray.remote(os.getpid).remote()) > 0  # others go on


@pytest.mark.parametrize("name", ["../out", "a/../../out", "a/b/../../../out", ".."])
def test_b2_16_an_entry_that_leads_out(ray, tmp_path, cache, name):
    path = archive(tmp_path / "x.zip", ("fine", "1"), (name, "2"))
    refused(ray, path, "which leads out of its folder", cache)


def test_b2_16_an_absolute_path(ray, tmp_path, cache):
    target = tmp_path / "target"
    path = archive(tmp_path / "x.zip", (str(target), "2"))
    refused(ray, path, "which leads out of its folder", cache)
    assert not target.exists()


def test_b2_16_a_symbolic_link_and_a_file_behind_it(ray, tmp_path, cache):
    outside = tmp_path / "outside"
    outside.mkdir()
    link = entry("link", stat.S_IFLNK | 0o777)
    path = archive(tmp_path / "x.zip", (link, str(outside)), ("link/file", "2"))
    refused(ray, path, "has the entry 'link', which is a symbolic link", cache)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_b2_16_a_special_file(ray, tmp_path, cache, kind):
    path = archive(tmp_path / "x.zip", (entry("it", kind | 0o644), ""))
    refused(ray, path, "has the entry 'it', which is neither a file nor a folder", cache)


@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID])
def test_b2_16_a_set_uid_file(ray, tmp_path, cache, bit):
    path = archive(tmp_path / "x.zip", (entry("it", stat.S_IFREG | bit | 0o755), "#!"))
    refused(ray, path, "which is to run with another user's rights", cache)


def list_of(count, name=b"%07d"):
    """The end of a zip file with so many entries, that are all the same file of no bytes."""
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"f"
    made = io.BytesIO()
    made.write(local)
    for i in range(count):
        made.write(
            struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0)
            + name % i
        )
    size = made.tell() - len(local)
    return made, len(local), size


def test_b2_16_a_million_entries(ray, tmp_path, cache):
    made, start, size = list_of(1_000_000)
    record = made.tell()
    made.write(
        struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 10**6, 10**6, size, start)
        + struct.pack("<4sLQL", b"PK\6\7", 0, record, 1)
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )
    (tmp_path / "x.zip").write_bytes(made.getvalue())
    refused(ray, tmp_path / "x.zip", "has 1000000 entries, and more than 100000 are not", cache)


def test_b2_16_more_entries_than_the_archive_says(ray, tmp_path, cache):
    made, start, size = list_of(150_000)
    made.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, start, 0))
    (tmp_path / "x.zip").write_bytes(made.getvalue())
    refused(ray, tmp_path / "x.zip", "has 150000 entries, and more than 100000 are not", cache)


@pytest.mark.parametrize("mebibytes", [64, 520])
def test_b2_16_a_bomb_of_a_thousand_to_one(ray, tmp_path, cache, mebibytes):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        with made.open("zeroes", "w", force_zip64=True) as file:
            for _ in range(mebibytes):
                file.write(bytes(1 << 20))
    assert path.stat().st_size * 900 < mebibytes << 20
    sentence = "holds more than the 512 MiB" if mebibytes > 512 else "more than 200 times, as only"
    refused(ray, path, sentence, cache)


def lying(path, name, told, data):
    """A zip file whose entry says that it unpacks to `told` bytes."""
    archive(path, (name, data))
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<L", raw, raw.index(mark) + offset, told)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("told", [0, 10, 1 << 20])
def test_b2_16_a_size_that_is_a_lie(ray, tmp_path, cache, told):
    path = lying(tmp_path / "x.zip", "it", told, os.urandom(1000) * 100)
    refused(ray, path, "is broken|whose size it tells wrongly", cache)


def test_b2_16_a_bomb_that_lies_about_its_size_is_cut_off(tmp_path, monkeypatch):
    path = lying(tmp_path / "x.zip", "it", 100, bytes(64 << 20))
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(_unpack.Refused):
        _unpack.unpack(str(path), str(folder))
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 100


def test_b2_16_what_is_written_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(_unpack, "LIMIT_BYTES", 3000)
    monkeypatch.setattr(_unpack, "_check_sizes", lambda entries, packed: None)
    path = archive(tmp_path / "x.zip", *((f"{i}", bytes(1000)) for i in range(5)))
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(_unpack.Refused, match="holds more than the 512 MiB"):
        _unpack.unpack(str(path), str(folder))
    assert sum(file.stat().st_size for file in folder.iterdir()) == 3000


BROKEN = [b"something else", b"", struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)]


@pytest.mark.parametrize("data", BROKEN, ids=["text", "empty", "a list that is not there"])
def test_b2_16_what_is_no_archive(ray, tmp_path, cache, data):
    (tmp_path / "x.zip").write_bytes(data)
    refused(ray, tmp_path / "x.zip", "is no zip archive|is broken", cache)


def test_b2_16_names_that_collide_or_are_too_long(ray, tmp_path, cache):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "x.zip", ("a", "1"), ("a", "2"))
    refused(ray, path, "has the entry 'a' twice", cache)
    refused(ray, archive(tmp_path / "y.zip", ("a", "1"), ("a/b", "2")), "cannot be unpacked", cache)
    path = archive(tmp_path / "z.zip", ("n" * 300, "1"))
    refused(ray, path, "cannot be unpacked: File name too long", cache)


def test_b2_16_an_encrypted_archive(ray, tmp_path, cache):
    path = archive(tmp_path / "x.zip", ("it", "secret"))
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        raw[raw.index(mark) + offset] |= 1
    path.write_bytes(raw)
    refused(ray, path, "is broken, or not readable here: .*encrypted", cache)


def test_b2_16_an_archive_that_goes_away(ray, tmp_path):
    path = archive(tmp_path / "x.zip", ("data.txt", "1"))
    remote = look.options(runtime_env={"working_dir": path})
    path.unlink()
    with pytest.raises(RuntimeEnvSetupError, match="cannot be read: No such file"):
        ray.get(remote.remote())
    archive(path, ("data.txt", "2"))
    assert ray.get(remote.remote())[1] == "2"  # the next task tries again


@contextlib.contextmanager
def being_made_by_another(cache, path):
    """Another process has begun to unpack these modules."""
    cache.mkdir(mode=0o700, parents=True)
    with open(cache / f"py_modules-{digest_of(str(path))}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_the_time_that_making_it_may_take_is_limited(ray, tmp_path, cache):
    path = archive(tmp_path / "x.zip", ("data.txt", "1"))
    with being_made_by_another(cache, path):
        env = {"py_modules": [path], "config": {"setup_timeout_seconds": 1}}
        with pytest.raises(RuntimeEnvSetupError, match="it was not ready after 1 seconds; raise"):
            ray.get(look.options(runtime_env=env).remote())


def test_shutdown_ends_what_is_being_made(tmp_path, cache):
    path = archive(tmp_path / "x.zip", ("data.txt", "1"))
    with being_made_by_another(cache, path):
        bolide.init(num_cpus=1)
        reference = look.options(runtime_env={"py_modules": [path]}).remote()
        bolide.shutdown()
        del reference
