"""What a process may use of the machine: memory, cores and processor features, as Linux reports them."""

import os
import subprocess
import sys

import pytest

from c2m_tf.commands.demo import findings
from c2m_tf.startup import fastest_dtype, processor_features, processor_name, usable_cores, usable_memory
from c2m_tf.upscaling.plans import default_max_memory

UNLIMITED_V1 = str(2**63 - 4096)


def machine(root, groups, files):
    """A root with /proc/self/cgroup and limits under /sys/fs/cgroup."""
    for path, content in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{path}": text for path, text in files.items()},
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        # version 2: in a container of its own name space, in a group of systemd, limited above, not limited
        ("0::/\n", {"memory.max": "1000000\n"}, 1_000_000),
        ("0::/a.slice/b.scope\n", {"a.slice/b.scope/memory.max": "3000\n", "a.slice/memory.max": "max\n"}, 3000),
        ("0::/a.slice/b.scope\n", {"a.slice/b.scope/memory.max": "max\n", "a.slice/memory.max": "2000\n"}, 2000),
        ("0::/a/b\n", {"a/b/memory.max": "9000\n", "a/memory.max": "5000\n", "memory.max": "7000\n"}, 5000),
        ("0::/\n", {"memory.max": "max\n"}, None),
        # version 1: as a container sees it (the host's path is not there), nested, beside version 2, not limited
        ("4:memory:/docker/1234\n3:cpu:/x\n", {"memory/memory.limit_in_bytes": "4000\n"}, 4000),
        ("9:cpu,memory:/job/step\n", {"memory/job/step/memory.limit_in_bytes": "4000\n"}, 4000),
        ("1:memory:/j\n0::/j\n", {"memory/j/memory.limit_in_bytes": "4000\n", "j/memory.max": "2500\n"}, 2500),
        ("1:memory:/\n", {"memory/memory.limit_in_bytes": f"{UNLIMITED_V1}\n"}, None),
        # none, or not readable as one
        ("", {}, None),
        ("0::/gone\n", {}, None),
        ("rubbish\n::\n0::/../..\n", {"memory.max": "-5\n"}, None),
        ("0::/\n", {"memory.max": "0\n"}, None),
    ],
)
def test_limits_of_containers_count(tmp_path, groups, files, expected):
    physical = usable_memory(tmp_path)
    assert usable_memory(machine(tmp_path, groups, files)) == (physical if expected is None else expected)


def test_without_control_groups_it_is_the_machines_memory(tmp_path):
    assert usable_memory(tmp_path) > 2**26
    assert 0 < default_max_memory() < usable_memory(tmp_path)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),  # a fifth of a core
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("3:cpu,cpuacct:/docker/1\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/\n", {"cpu.max": "0 0\n"}, None),
        ("rubbish\n", {}, None),
    ],
)
def test_cores_are_those_of_the_container(tmp_path, groups, files, expected):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cores(machine(tmp_path, groups, files)) == (cores if expected is None else min(cores, expected))


def test_large_quotas_do_not_add_cores(tmp_path):
    assert usable_cores(machine(tmp_path, "0::/\n", {"cpu.max": "100000000 100000\n"})) == usable_cores(tmp_path)


CORE = "processor\t: {}\nmodel name\t: A processor\nflags\t\t: fpu avx2 {} fma\n\n"


@pytest.mark.parametrize(
    ("flags", "features", "dtype"),
    [
        (["avx512f avx512_bf16", "avx512_bf16 avx512f"], ("avx2", "fma", "avx512f", "avx512_bf16"), "mixed_bfloat16"),
        (["amx_bf16", "amx_bf16"], ("avx2", "fma", "amx_bf16"), "mixed_bfloat16"),
        (["avx512_vnni", "avx512_vnni"], ("avx2", "fma", "avx512_vnni"), "float32"),
        (["avx512_bf16", ""], ("avx2", "fma"), "float32"),  # cores that differ
        (["not_avx512_bf16", "not_avx512_bf16"], ("avx2", "fma"), "float32"),
        ([], (), "float32"),
    ],
)
def test_bfloat16_is_chosen_where_every_core_has_it(tmp_path, flags, features, dtype):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("".join(CORE.format(number, each) for number, each in enumerate(flags)))
    assert processor_features(tmp_path) == features
    assert fastest_dtype(tmp_path) == dtype
    assert processor_name(tmp_path) != ""


def test_features_of_arm_processors_are_found(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nFeatures : fp asimd i8mm bf16\n")
    assert processor_features(tmp_path) == ("asimd", "i8mm", "bf16")


def test_doctor_prints_what_was_found_and_the_choice_that_follows():
    done = subprocess.run([sys.executable, "-m", "c2m_tf", "doctor"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert done.stderr == ""
    lines = dict(line.split(maxsplit=1) for line in done.stdout.replace("--dtype auto", "dtype").splitlines())
    assert lines["dtype"].startswith(f"takes {fastest_dtype().removeprefix('mixed_')}: ")
    assert f"{usable_memory() / 2**30:.1f} GiB" in lines["memory"]
    assert lines["cores"] == f"{usable_cores()} may be used"


def test_doctor_tells_how_to_install_a_missing_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "flip missing (FLIP in evaluate: pip install 'c2m-tf[flip]')" in dict(findings())["extras"]
